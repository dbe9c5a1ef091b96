//! Zip and tar files, unpacked into memory under limits: nothing that an archive says of itself is believed.
use std::io::{Cursor, Read};

use super::{DatasetError, SentFiles};

/// What bounds an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveLimits {
    pub max_entries: usize,
    /// Bytes of one unpacked file.
    pub max_file_bytes: u64,
    /// Bytes of all unpacked files.
    pub max_total_bytes: u64,
    /// Unpacked bytes over packed ones.
    pub max_ratio: u64,
}

/// Below this nothing is a bomb.
const RATIO_COUNTS_FROM: u64 = 1 << 20;
const UNIX_KIND: u32 = 0o170_000;
const UNIX_LINK: u32 = 0o120_000;

/// The files of a zip, tar or tar.gz, by their path inside of it.
///
/// # Errors
/// Not whole, over a limit, or an entry that is no plain file below the archive's root.
pub fn unpack(bytes: &[u8], limits: &ArchiveLimits) -> Result<SentFiles, DatasetError> {
    let unpacking = Unpacking {
        limits,
        packed: bytes.len() as u64,
        total: 0,
        files: SentFiles::new(),
    };
    match bytes {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => unpacking.zip(bytes),
        [0x1f, 0x8b, ..] => {
            // the tar's own headers count too
            let most = limits.max_total_bytes.saturating_add(1 << 20);
            unpacking.tar(flate2::read::GzDecoder::new(bytes).take(most))
        }
        _ => unpacking.tar(bytes),
    }
}

struct Unpacking<'a> {
    limits: &'a ArchiveLimits,
    packed: u64,
    total: u64,
    files: SentFiles,
}

impl Unpacking<'_> {
    fn zip(mut self, bytes: &[u8]) -> Result<SentFiles, DatasetError> {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| broken(&e))?;
        self.count(archive.len())?;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|e| broken(&e))?;
            let name = entry.name().map_err(|e| broken(&e))?.into_owned();
            let mode = entry.unix_mode().unwrap_or_default();
            if entry.is_symlink() || mode & UNIX_KIND == UNIX_LINK {
                return Err(refused(&name, "is a link"));
            }
            if entry.is_dir() {
                continue;
            }
            self.add(&name, &mut entry)?;
        }
        Ok(self.files)
    }

    fn tar(mut self, reader: impl Read) -> Result<SentFiles, DatasetError> {
        let mut archive = tar::Archive::new(reader);
        let mut seen = 0;
        for entry in archive.entries().map_err(|e| broken(&e))? {
            let mut entry = entry.map_err(|e| broken(&e))?;
            seen += 1;
            self.count(seen)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            match entry.header().entry_type() {
                tar::EntryType::Regular | tar::EntryType::Continuous => {
                    self.add(&name, &mut entry)?;
                }
                tar::EntryType::Directory => {}
                kind if kind.is_symlink() || kind.is_hard_link() => {
                    return Err(refused(&name, "is a link"));
                }
                _ => return Err(refused(&name, "is neither a file nor a folder")),
            }
        }
        match seen {
            0 => Err(DatasetError::Archive {
                problem: "it has no entries".into(),
            }),
            _ => Ok(self.files),
        }
    }

    fn count(&self, entries: usize) -> Result<(), DatasetError> {
        let max = self.limits.max_entries;
        match entries <= max {
            true => Ok(()),
            false => Err(over("entries", max as u64)),
        }
    }

    fn add(&mut self, name: &str, content: &mut impl Read) -> Result<(), DatasetError> {
        let path = plain_path(name)
            .ok_or_else(|| refused(name, "has a path that leads out of the archive"))?;
        let ArchiveLimits {
            max_file_bytes,
            max_total_bytes,
            max_ratio,
            ..
        } = *self.limits;
        // what the total and the ratio leave is never read beyond, whatever the header claims
        let by_ratio = self.packed.saturating_mul(max_ratio).max(RATIO_COUNTS_FROM);
        let left = max_total_bytes.min(by_ratio) - self.total;
        let mut bytes = Vec::new();
        let mut bounded = content.take(max_file_bytes.min(left) + 1);
        bounded.read_to_end(&mut bytes).map_err(|e| broken(&e))?;
        let size = bytes.len() as u64;
        if size > max_file_bytes {
            return Err(over(&format!("bytes of {name:?}"), max_file_bytes));
        }
        if size > left {
            return Err(match by_ratio < max_total_bytes {
                true => over("unpacked bytes for each packed one", max_ratio),
                false => over("unpacked bytes", max_total_bytes),
            });
        }
        self.total += size;
        match self.files.insert(path, bytes) {
            None => Ok(()),
            Some(_) => Err(refused(name, "is there twice")),
        }
    }
}

/// `name` without `.` parts; none where it is absolute, climbs, or is no path of ours.
pub(super) fn plain_path(name: &str) -> Option<String> {
    if name.starts_with('/') || name.contains(['\\', '\0']) {
        return None;
    }
    // a drive of another system
    if name.as_bytes().get(1) == Some(&b':') {
        return None;
    }
    let parts = name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    let parts: Vec<&str> = parts.collect();
    let plain = !parts.is_empty() && !parts.contains(&"..");
    plain.then(|| parts.join("/"))
}

fn broken(error: &dyn std::error::Error) -> DatasetError {
    DatasetError::Archive {
        problem: error.to_string(),
    }
}

fn refused(entry: &str, problem: &'static str) -> DatasetError {
    DatasetError::Entry {
        entry: entry.chars().take(200).collect(),
        problem,
    }
}

fn over(what: &str, max: u64) -> DatasetError {
    DatasetError::Limit {
        what: format!("too many {what}"),
        max,
    }
}

//! A folder or an archive as it is sent.
use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use super::FinetuneError;
use crate::jobs::datasets::DEMO;

/// Hex digits of the content's hash in a set's name.
const DIGITS: usize = 12;
/// A name that a server takes is not longer than this with its hash.
const MAX_STEM: usize = 40;

/// What is trained on.
pub(super) enum SentSet {
    /// One that is there already.
    Kept { name: String },
    /// Named after its content, so that the same set is kept once.
    Packed { name: String, archive: Vec<u8> },
}

impl SentSet {
    /// Reads a folder or an archive; [`DEMO`] is the built-in set where there is no such file.
    ///
    /// # Errors
    /// [`FinetuneError::Input`].
    pub(super) fn read(path: &Path) -> Result<Self, FinetuneError> {
        if path == Path::new(DEMO) && !path.exists() {
            return Ok(Self::Kept { name: DEMO.into() });
        }
        let unreadable = |source| FinetuneError::Input {
            path: path.to_owned(),
            source,
        };
        let archive = match path.is_dir() {
            true => pack(path).map_err(unreadable)?,
            false => fs::read(path).map_err(unreadable)?,
        };
        let hash: String = Sha256::digest(&archive)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let stem = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let stem = stem.file_stem().unwrap_or_default().to_string_lossy();
        let stem: String = stem
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c))
            .take(MAX_STEM)
            .collect();
        Ok(Self::Packed {
            name: format!("{stem}-{}", &hash[..DIGITS]),
            archive,
        })
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Kept { name } | Self::Packed { name, .. } => name,
        }
    }
}

/// The files of a folder as one zip; the same for the same files.
fn pack(folder: &Path) -> std::io::Result<Vec<u8>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // photos do not get smaller, and the hour at which they were saved makes no other set
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    for path in files {
        let name = path.strip_prefix(folder).unwrap_or(&path);
        let name = name.to_string_lossy().replace('\\', "/");
        zip.start_file(name, options)?;
        zip.write_all(&fs::read(&path)?)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Files of a folder and those below it; hidden ones are nobody's rows.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => collect(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}

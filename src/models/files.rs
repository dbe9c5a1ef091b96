//! A bundle's files: a directory, or the tiny bundle inside the binary.
use std::{
    borrow::Cow,
    fmt,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::error::{LoadError, LoadResult};

#[derive(rust_embed::Embed)]
#[folder = "assets/tiny"]
struct TinyBundle;

/// Directory of the judge that a bundle brings along.
pub const JUDGE: &str = "judge";

/// Where a bundle's files are. Paths inside are relative, with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    Directory(PathBuf),
    /// The tiny bundle built into the binary.
    Embedded,
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(root) => root.display().fmt(f),
            Self::Embedded => f.write_str("the built-in bundle"),
        }
    }
}

impl Files {
    /// The whole content of one file.
    ///
    /// # Errors
    /// The file is missing or unreadable.
    pub fn read(&self, relative: &str) -> LoadResult<Cow<'static, [u8]>> {
        match self {
            Self::Directory(root) => {
                let path = root.join(relative);
                fs::read(&path)
                    .map(Cow::Owned)
                    .map_err(|source| self.unreadable(relative, source))
            }
            Self::Embedded => Ok(self.embedded(relative)?),
        }
    }

    pub fn exists(&self, relative: &str) -> bool {
        match self {
            Self::Directory(root) => root.join(relative).is_file(),
            Self::Embedded => TinyBundle::get(relative).is_some(),
        }
    }

    /// A file whose parts are read on demand.
    pub(crate) fn open(&self, relative: &str) -> LoadResult<Blob> {
        match self {
            Self::Directory(root) => Blob::disk(root.join(relative)),
            Self::Embedded => Ok(Blob::Memory {
                name: relative.into(),
                bytes: self.embedded(relative)?,
            }),
        }
    }

    /// Every file of the bundle, sorted: hidden files and directories are left out.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn list(&self) -> LoadResult<Vec<String>> {
        let mut names = match self {
            Self::Directory(_) => self.walk(String::new())?,
            Self::Embedded => TinyBundle::iter().map(Cow::into_owned).collect(),
        };
        names.sort();
        Ok(names)
    }

    /// SHA-256 in hex over the names and contents of everything that decides an edit: weights, configs and tokenizer,
    /// but not those of the bundle's judge.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn sha256(&self) -> LoadResult<String> {
        let judge = format!("{JUDGE}/");
        self.sha256_of(|name| Some(name).filter(|name| !name.starts_with(&judge)))
    }

    /// [`Self::sha256`] over the files that `naming` gives a name, under that name.
    pub(super) fn sha256_of(
        &self,
        naming: impl for<'a> Fn(&'a str) -> Option<&'a str>,
    ) -> LoadResult<String> {
        let mut all = Sha256::new();
        for name in self.list()? {
            let decides = [".safetensors", ".json", ".jinja", "questions.toml"]
                .iter()
                .any(|ending| name.ends_with(ending));
            let Some(hashed) = naming(&name).filter(|_| decides) else {
                continue;
            };
            all.update(hashed.as_bytes());
            all.update(self.open(&name)?.sha256()?);
        }
        Ok(hex(&all.finalize()))
    }

    fn walk(&self, below: String) -> LoadResult<Vec<String>> {
        let Self::Directory(root) = self else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        let entries =
            fs::read_dir(root.join(&below)).map_err(|source| self.unreadable(&below, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| self.unreadable(&below, source))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let relative = if below.is_empty() {
                name
            } else {
                format!("{below}/{name}")
            };
            if entry.path().is_dir() {
                found.extend(self.walk(relative)?);
            } else {
                found.push(relative);
            }
        }
        Ok(found)
    }

    fn embedded(&self, relative: &str) -> LoadResult<Cow<'static, [u8]>> {
        TinyBundle::get(relative)
            .map(|file| file.data)
            .ok_or_else(|| self.missing(relative))
    }

    fn missing(&self, relative: &str) -> LoadError {
        LoadError::MissingFile {
            file: relative.into(),
            root: self.to_string(),
        }
    }

    fn unreadable(&self, relative: &str, source: io::Error) -> LoadError {
        if source.kind() == io::ErrorKind::NotFound {
            return self.missing(relative);
        }
        LoadError::Read {
            file: format!("{self}/{relative}"),
            source,
        }
    }
}

/// One open file. Read in parts with plain reads: a memory map of a checkpoint would count
/// twice against the process while its tensors are copied out.
#[derive(Debug)]
pub(crate) enum Blob {
    Disk {
        name: String,
        file: File,
        len: u64,
    },
    Memory {
        name: String,
        bytes: Cow<'static, [u8]>,
    },
}

impl Blob {
    pub(crate) fn disk(path: PathBuf) -> LoadResult<Self> {
        let name = path.display().to_string();
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((len, file)) => Ok(Self::Disk { name, file, len }),
            Err(source) => Err(LoadError::Read { file: name, source }),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Disk { name, .. } | Self::Memory { name, .. } => name,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Disk { len, .. } => *len,
            Self::Memory { bytes, .. } => bytes.len() as u64,
        }
    }

    /// Fills `buffer` from byte `offset` on.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> LoadResult<()> {
        let read = match self {
            Self::Disk { file, .. } => {
                let mut file = file;
                file.seek(SeekFrom::Start(offset))
                    .and_then(|_| file.read_exact(buffer))
            }
            Self::Memory { bytes, .. } => usize::try_from(offset)
                .ok()
                .and_then(|start| bytes.get(start..start.checked_add(buffer.len())?))
                .map(|part| buffer.copy_from_slice(part))
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
        };
        read.map_err(|source| LoadError::Read {
            file: self.name().into(),
            source,
        })
    }

    fn sha256(&self) -> LoadResult<[u8; 32]> {
        const CHUNK: u64 = 1 << 20;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK as usize];
        let mut at = 0;
        while at < self.len() {
            let part = &mut buffer[..(self.len() - at).min(CHUNK) as usize];
            self.read_at(at, part)?;
            hash.update(&*part);
            at += part.len() as u64;
        }
        Ok(hash.finalize().into())
    }
}

/// SHA-256 in hex of one file outside a bundle.
///
/// # Errors
/// The file cannot be read.
pub fn file_sha256(path: &Path) -> LoadResult<String> {
    Ok(hex(&Blob::disk(path.to_owned())?.sha256()?))
}

/// SHA-256 in hex of bytes in memory.
pub fn hex_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_listed_read_and_hashed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("vae")).unwrap();
        fs::write(dir.path().join("vae/config.json"), "{}").unwrap();
        fs::write(dir.path().join(".hidden"), "x").unwrap();
        let files = Files::Directory(dir.path().into());
        assert_eq!(files.list().unwrap(), ["vae/config.json"]);
        assert_eq!(&*files.read("vae/config.json").unwrap(), b"{}");
        assert!(files.exists("vae/config.json") && !files.exists("vae"));
        let before = files.sha256().unwrap();
        fs::write(dir.path().join("notes.txt"), "does not decide the output").unwrap();
        assert_eq!(files.sha256().unwrap(), before);
        fs::write(dir.path().join("vae/config.json"), "{ }").unwrap();
        assert_ne!(files.sha256().unwrap(), before);
    }

    #[test]
    fn a_missing_file_is_named() {
        for files in [Files::Directory("/nonexistent".into()), Files::Embedded] {
            let error = files.read("vae/nothing.json").unwrap_err();
            assert!(
                matches!(&error, LoadError::MissingFile { file, .. } if file == "vae/nothing.json"),
                "{error}"
            );
        }
    }

    #[test]
    fn reading_past_the_end_is_an_error() {
        let blob = Blob::Memory {
            name: "x".into(),
            bytes: Cow::Borrowed(b"abc"),
        };
        let mut buffer = [0; 2];
        assert!(blob.read_at(1, &mut buffer).is_ok());
        assert_eq!(&buffer, b"bc");
        assert!(blob.read_at(2, &mut buffer).is_err());
        assert!(blob.read_at(u64::MAX, &mut buffer).is_err());
    }
}

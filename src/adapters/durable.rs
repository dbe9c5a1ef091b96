//! Files that are there whole or not at all, also after a power cut.
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// A file written beside its place and not yet moved there; removed if it never is.
pub(super) struct Unplaced {
    temporary: PathBuf,
    place: PathBuf,
}

impl Unplaced {
    /// Writes `bytes` to the disk, in the directory of `place`.
    pub(super) fn write(place: &Path, bytes: &[u8]) -> io::Result<Self> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let unplaced = Self {
            temporary: place.with_file_name(format!(".{name}.{}.tmp", Uuid::now_v7())),
            place: place.to_owned(),
        };
        let mut file = File::create_new(&unplaced.temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(unplaced)
    }

    /// Moves the file to its place, over what is there.
    pub(super) fn place(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.place)?;
        match self.place.parent() {
            Some(directory) => sync_directory(directory),
            None => Ok(()),
        }
    }
}

impl Drop for Unplaced {
    fn drop(&mut self) {
        // Gone already once placed; nothing more can be done about a file that cannot be removed.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Makes renames and removals in `directory` lasting.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    let directory = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    File::open(directory)?.sync_all()
}

//! A file that a command writes: checked before the work, written whole or not at all.
use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use super::error::{CliError, Unusable};

/// Makes sure now, not after minutes of work, that `output` can be written and is none of `taken`.
pub(super) fn check_free(output: &Path, taken: &[&Path]) -> Result<(), Unusable> {
    if taken.iter().any(|other| same_file(other, output)) {
        return Err(Unusable::Overwrites {
            path: output.to_owned(),
        });
    }
    probe(output).map_err(|source| Unusable::Output {
        path: output.to_owned(),
        source,
    })
}

/// Writes all of `bytes`, or leaves what was there.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    replace(path, bytes).map_err(|source| CliError::Write {
        path: path.to_owned(),
        source,
    })
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// Whether `path` is a plain file or none: those are replaced in one move; pipes and links are written through.
fn is_replaceable(path: &Path) -> bool {
    fs::symlink_metadata(path).map_or(true, |found| found.is_file())
}

fn probe(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !is_replaceable(path) {
        return Ok(());
    }
    let beside = beside(path);
    fs::File::create_new(&beside)?;
    fs::remove_file(beside)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if !is_replaceable(path) {
        return fs::write(path, bytes);
    }
    let beside = beside(path);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Nothing more can be done about a file that cannot even be removed.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// A name in the same directory, so that the last move stays on one file system.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.png");
        fs::write(&path, b"old").unwrap();
        probe(&path).unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(probe(&dir.path().join("none/out.png")).is_err());
        assert!(probe(dir.path()).is_err());
    }
}

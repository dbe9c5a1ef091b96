//! The hub cache shared by all Hugging Face tools:
//! `models--owner--name/{refs/REVISION, snapshots/COMMIT/FILE -> ../../blobs/ETAG}`.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Fetched, Wanted};
use crate::models::source::HubRef;

/// Directory of a repository inside the cache.
pub(super) fn repository_dir(cache: &Path, hub: &HubRef) -> PathBuf {
    cache.join(format!("models--{}--{}", hub.owner, hub.name))
}

/// Whether a revision is a commit: it needs no `refs/` entry and never moves.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The cached path of what is wanted, or what is missing. Touches no network.
pub(super) fn locate(
    cache: &Path,
    hub: &HubRef,
    wanted: Wanted<'_>,
) -> Result<PathBuf, Vec<String>> {
    let repository = repository_dir(cache, hub);
    let revision = hub.revision_or_default();
    let commit = if is_commit(revision) {
        revision.to_owned()
    } else {
        let recorded = fs::read_to_string(repository.join("refs").join(revision));
        let recorded = recorded.map(|commit| commit.trim().to_owned()).ok();
        recorded
            .filter(|commit| is_commit(commit))
            .ok_or_else(|| vec![format!("revision {revision}")])?
    };
    let snapshot = repository.join("snapshots").join(commit);
    match wanted.of(|file| snapshot.join(file).is_file()) {
        Fetched::File(file) if snapshot.join(file).is_file() => Ok(snapshot.join(file)),
        Fetched::File(file) => Err(vec![file.to_owned()]),
        Fetched::Directory(layout) => match layout.missing(&snapshot) {
            missing if missing.is_empty() => Ok(snapshot),
            missing => Err(missing),
        },
    }
}

/// Writes `refs/REVISION`, so that the next start finds the commit without the hub.
pub(super) fn record_revision(repository: &Path, revision: &str, commit: &str) -> io::Result<()> {
    if is_commit(revision) {
        return Ok(());
    }
    let path = repository.join("refs").join(revision);
    fs::create_dir_all(repository.join("refs"))?;
    fs::write(path, commit)
}

/// Makes `snapshots/COMMIT/FILE` point to a finished blob.
pub(super) fn link(repository: &Path, commit: &str, file: &str, blob: &str) -> io::Result<()> {
    let pointer = repository.join("snapshots").join(commit).join(file);
    if let Some(parent) = pointer.parent() {
        fs::create_dir_all(parent)?;
    }
    if let Err(error) = fs::remove_file(&pointer)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let depth = file.split('/').count() + 1;
    let target = format!("{}blobs/{blob}", "../".repeat(depth));
    symlink(repository, &target, &pointer)
}

#[cfg(unix)]
fn symlink(_repository: &Path, target: &str, pointer: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, pointer)
}

/// Without symbolic links for ordinary users the cache holds copies, as in Python.
#[cfg(not(unix))]
fn symlink(repository: &Path, target: &str, pointer: &Path) -> io::Result<()> {
    fs::copy(repository.join(target.trim_start_matches("../")), pointer).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    fn hub(revision: Option<&str>) -> HubRef {
        HubRef {
            owner: "o".into(),
            name: "n".into(),
            revision: revision.map(Into::into),
            file: None,
        }
    }

    #[test]
    fn a_file_is_found_by_revision_and_by_commit() {
        let cache = tempfile::tempdir().unwrap();
        let repository = repository_dir(cache.path(), &hub(None));
        assert!(repository.ends_with("models--o--n"));
        let wanted = Wanted::File("dir/w.pt");
        assert_eq!(
            locate(cache.path(), &hub(None), wanted),
            Err(vec!["revision main".to_owned()])
        );
        record_revision(&repository, "main", COMMIT).unwrap();
        assert_eq!(
            locate(cache.path(), &hub(None), wanted),
            Err(vec!["dir/w.pt".to_owned()])
        );
        fs::create_dir_all(repository.join("blobs")).unwrap();
        fs::write(repository.join("blobs/abc"), b"weights").unwrap();
        link(&repository, COMMIT, "dir/w.pt", "abc").unwrap();
        for revision in [None, Some("main"), Some(COMMIT)] {
            let path = locate(cache.path(), &hub(revision), wanted).unwrap();
            assert_eq!(fs::read(path).unwrap(), b"weights");
        }
        assert!(locate(cache.path(), &hub(Some("other")), wanted).is_err());
    }

    #[test]
    fn a_pointer_without_its_blob_is_missing() {
        let cache = tempfile::tempdir().unwrap();
        let repository = repository_dir(cache.path(), &hub(None));
        link(&repository, COMMIT, "w.pt", "gone").unwrap();
        assert!(locate(cache.path(), &hub(Some(COMMIT)), Wanted::File("w.pt")).is_err());
    }

    #[test]
    fn a_damaged_ref_is_not_followed() {
        let cache = tempfile::tempdir().unwrap();
        let repository = repository_dir(cache.path(), &hub(None));
        record_revision(&repository, "main", "../../../etc").unwrap();
        assert!(locate(cache.path(), &hub(None), Wanted::Bundle).is_err());
    }
}

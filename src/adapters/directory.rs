//! A directory of adapters, each under its own name.
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use super::{Adapter, AdapterError, AdapterId, AdapterSource, AdapterSourceError, Viewer, read};

/// Longest name of an adapter, in bytes.
const MAX_NAME_BYTES: usize = 64;
const FILE_ENDING: &str = ".safetensors";

/// Adapters as files `NAME.safetensors` or directories `NAME` below one directory. A file that is replaced is a new adapter
/// under the same name; edits that run keep the old one.
#[derive(Debug)]
pub struct AdapterDirectory {
    root: PathBuf,
    /// What was read, by name.
    seen: Mutex<BTreeMap<String, Seen>>,
}

#[derive(Debug, Clone)]
struct Seen {
    stamp: Stamp,
    id: AdapterId,
}

/// Tells a file from the one that replaces it.
type Stamp = (Option<SystemTime>, u64);

impl AdapterDirectory {
    /// # Errors
    /// No directory, or one that cannot be read.
    pub fn open(root: &Path) -> Result<Self, AdapterError> {
        let unreadable = |source| AdapterError::Read {
            file: root.into(),
            source,
        };
        let root = root.canonicalize().map_err(unreadable)?;
        fs::read_dir(&root).map_err(unreadable)?;
        Ok(Self {
            root,
            seen: Mutex::default(),
        })
    }

    /// Where the adapter `name` lies, and which it is; `None` where there is none.
    fn find(&self, name: &str) -> io::Result<Option<(PathBuf, Stamp)>> {
        for entry in [name.to_owned(), format!("{name}{FILE_ENDING}")] {
            let path = match self.root.join(entry).canonicalize() {
                Ok(path) => path,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // A link must not lead out of the directory.
            if path.starts_with(&self.root) {
                let stamp = stamp(&path)?;
                return Ok(Some((path, stamp)));
            }
        }
        Ok(None)
    }

    /// The adapter `name`; what it is, is remembered.
    fn load(&self, name: &str) -> Result<Adapter, AdapterSourceError> {
        let (path, stamp) = self
            .find(name)
            .map_err(unavailable)?
            .ok_or_else(|| unknown(name))?;
        let unusable = |source| AdapterSourceError::Unusable {
            name: name.into(),
            source,
        };
        let adapter = read(&path).map_err(unusable)?.adapter;
        let id = adapter.id().clone();
        self.seen().insert(name.into(), Seen { stamp, id });
        Ok(adapter)
    }

    fn named(&self, name: &str) -> Result<AdapterId, AdapterSourceError> {
        let found = self.find(name).map_err(unavailable)?;
        let (_, stamp) = found.ok_or_else(|| unknown(name))?;
        let seen = self.seen().get(name).cloned();
        match seen.filter(|seen| seen.stamp == stamp) {
            Some(seen) => Ok(seen.id),
            None => Ok(self.load(name)?.id().clone()),
        }
    }

    /// The name under which the adapter lies now.
    fn name_of(&self, id: &AdapterId) -> Result<String, AdapterSourceError> {
        let seen: Vec<_> = self.seen().keys().cloned().collect();
        let mut names = self.names().map_err(unavailable)?;
        // Those that were read before cost nothing.
        names.sort_by_key(|name| !seen.contains(name));
        let is_it = |name: &String| self.named(name).is_ok_and(|found| found == *id);
        names
            .into_iter()
            .find(is_it)
            .ok_or_else(|| unknown(id.as_str()))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let name = name.strip_suffix(FILE_ENDING).unwrap_or(&name);
            if is_name(name) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AdapterSource for AdapterDirectory {
    fn resolve(&self, _: &Viewer, name: &str) -> Result<AdapterId, AdapterSourceError> {
        if !is_name(name) {
            return Err(unknown(name));
        }
        match (self.named(name), AdapterId::parse(name)) {
            (Err(AdapterSourceError::Unknown { .. }), Some(id)) => {
                self.name_of(&id)?;
                Ok(id)
            }
            (named, _) => named,
        }
    }

    fn read(&self, id: &AdapterId) -> Result<Adapter, AdapterSourceError> {
        let adapter = self.load(&self.name_of(id)?)?;
        match adapter.id() == id {
            true => Ok(adapter),
            // Replaced between the two looks at it.
            false => Err(unknown(id.as_str())),
        }
    }
}

/// The newest change and the size of a file, or of all files directly in a directory.
fn stamp(path: &Path) -> io::Result<Stamp> {
    let whole = fs::metadata(path)?;
    let mut stamp = (whole.modified().ok(), whole.len());
    if whole.is_dir() {
        for entry in fs::read_dir(path)? {
            let file = entry?.metadata()?;
            stamp = (stamp.0.max(file.modified().ok()), stamp.1 + file.len());
        }
    }
    Ok(stamp)
}

/// Whether a client may call an adapter that: no separator, no hidden file, nothing above.
fn is_name(name: &str) -> bool {
    let may_start = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let may_follow = |byte: u8| may_start(byte) || b"._-".contains(&byte);
    let mut bytes = name.bytes();
    name.len() <= MAX_NAME_BYTES && bytes.next().is_some_and(may_start) && bytes.all(may_follow)
}

fn unknown(name: &str) -> AdapterSourceError {
    AdapterSourceError::Unknown { name: name.into() }
}

fn unavailable(error: io::Error) -> AdapterSourceError {
    AdapterSourceError::Unavailable {
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::{
        Target,
        tests::sample::{adapter, pair, small},
        write,
    };

    fn other() -> Adapter {
        adapter([("layers.0.attention.to_q", pair(9, [6, 5], 2))])
    }

    fn is_unknown(found: Result<AdapterId, AdapterSourceError>) -> bool {
        matches!(found, Err(AdapterSourceError::Unknown { .. }))
    }

    #[test]
    fn adapters_are_found_by_name_and_by_id_and_replaced_ones_are_new() {
        let dir = tempfile::tempdir().unwrap();
        write(&small(), &dir.path().join("winter"), Target::Peft).unwrap();
        let source = AdapterDirectory::open(dir.path()).unwrap();
        let id = source.resolve(&Viewer::default(), "winter").unwrap();
        assert_eq!(id, *small().id());
        let fresh = AdapterDirectory::open(dir.path()).unwrap();
        assert_eq!(fresh.resolve(&Viewer::default(), id.as_str()).unwrap(), id);
        assert_eq!(*fresh.read(&id).unwrap().id(), id);
        assert!(is_unknown(source.resolve(&Viewer::default(), "summer")));
        assert!(is_unknown(
            source.resolve(&Viewer::default(), &"0".repeat(64))
        ));

        fs::remove_dir_all(dir.path().join("winter")).unwrap();
        write(&other(), &dir.path().join("winter"), Target::Peft).unwrap();
        assert_eq!(
            source.resolve(&Viewer::default(), "winter").unwrap(),
            *other().id()
        );
        assert!(source.read(&id).is_err());
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("adapters");
        fs::create_dir(&inside).unwrap();
        write(&small(), &dir.path().join("secret"), Target::Peft).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path().join("secret"), inside.join("link")).unwrap();
        let source = AdapterDirectory::open(&inside).unwrap();
        let long = "a".repeat(65);
        for name in [
            "",
            ".",
            "..",
            "../secret",
            "..%2fsecret",
            "%2e%2e",
            "/",
            "/etc/passwd",
            "a/../../secret",
            "secret",
            "link",
            "a\0b",
            "..\\secret",
            "C:",
            "~",
            "A",
            "\u{e9}",
            " ",
            "-a",
            &long,
        ] {
            assert!(
                is_unknown(source.resolve(&Viewer::default(), name)),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_broken_file_is_unusable_and_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("torn.safetensors"), b"no").unwrap();
        let source = AdapterDirectory::open(dir.path()).unwrap();
        let refused = source.resolve(&Viewer::default(), "torn").unwrap_err();
        assert!(
            matches!(&refused, AdapterSourceError::Unusable { name, .. } if name == "torn"),
            "{refused}"
        );
        assert!(AdapterDirectory::open(&dir.path().join("none")).is_err());
    }
}

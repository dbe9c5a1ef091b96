//! Downloads into the shared cache: range by range, so that a cut costs nothing, and checked against the commit.
use std::{
    fs::{self, File, OpenOptions},
    future::poll_fn,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use hf_hub::{
    HFClient, HFError, HFRepository, RepoTypeModel,
    repository::{RepoTreeEntry, download::HFByteStream},
};

use super::{
    Fetched, HubError, PullProgress, Wanted, cache,
    layout::{self, Layout},
    object_id::ContentHash,
};
use crate::models::source::HubRef;

/// Cuts in a row, without a byte in between, after which a download gives up.
const MAX_FRUITLESS_CUTS: u32 = 4;
const PAUSE_AFTER_CUT: Duration = Duration::from_millis(250);
const HASH_CHUNK_BYTES: usize = 1 << 20;

/// One file of a commit.
struct Entry {
    path: String,
    size: u64,
    /// Git object id.
    id: String,
}

/// One repository at one commit, being downloaded.
struct Pull<'a> {
    remote: HFRepository<RepoTypeModel>,
    repository: PathBuf,
    /// Directory of lock files, as other Hugging Face tools use it.
    locks: PathBuf,
    commit: String,
    progress: &'a dyn PullProgress,
}

/// Downloads what is wanted and not in the cache yet; the path of the snapshot, or of the file in it.
pub(super) fn pull(
    hub: &HubRef,
    wanted: Wanted<'_>,
    cache_dir: &Path,
    progress: &dyn PullProgress,
) -> Result<PathBuf, HubError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|source| HubError::Cache {
            path: cache_dir.to_owned(),
            source,
        })?;
    runtime.block_on(pull_async(hub, wanted, cache_dir, progress))
}

async fn pull_async(
    hub: &HubRef,
    wanted: Wanted<'_>,
    cache_dir: &Path,
    progress: &dyn PullProgress,
) -> Result<PathBuf, HubError> {
    let client = HFClient::builder()
        .cache_dir(cache_dir)
        .build()
        .map_err(|source| HubError::Connection { source })?;
    let remote = client.model(&*hub.owner, &*hub.name);
    let revision = hub.revision_or_default();
    let info = remote
        .info()
        .revision(revision)
        .send()
        .await
        .map_err(|error| refusal(error, hub))?;
    let files: Vec<String> = info
        .siblings
        .into_iter()
        .flatten()
        .map(|sibling| sibling.rfilename)
        .collect();
    let fetched = wanted.of(|file| files.iter().any(|known| known == file));
    let wanted_files = select(hub, fetched, &files)?;
    let commit = info
        .sha
        .filter(|commit| cache::is_commit(commit))
        .ok_or_else(|| HubError::NoRevision {
            repository: hub.repository(),
            revision: revision.to_owned(),
        })?;
    let repository = cache::repository_dir(cache_dir, hub);
    let locks = cache_dir
        .join(".locks")
        .join(repository.file_name().unwrap_or_default());
    let pull = Pull {
        remote,
        repository,
        locks,
        commit,
        progress,
    };
    for entry in pull.entries(hub, wanted_files).await? {
        pull.file(&entry, hub).await?;
    }
    cache::record_revision(&pull.repository, revision, &pull.commit).map_err(|source| {
        HubError::Cache {
            path: pull.repository.clone(),
            source,
        }
    })?;
    let snapshot = pull.repository.join("snapshots").join(&pull.commit);
    let layout = match fetched {
        Fetched::File(file) => return Ok(snapshot.join(file)),
        Fetched::Directory(layout) => layout,
    };
    let repository = hub.repository();
    match (layout, layout.missing(&snapshot)) {
        (_, missing) if missing.is_empty() => Ok(snapshot),
        (Layout::Bundle, missing) => Err(HubError::NotABundle {
            repository,
            missing,
        }),
        (Layout::Model, missing) => Err(HubError::NotAModel {
            repository,
            missing,
        }),
    }
}

/// The files to fetch, out of all files of the repository. Weights come last: where they are, everything is.
fn select(hub: &HubRef, fetched: Fetched<'_>, files: &[String]) -> Result<Vec<String>, HubError> {
    match fetched {
        Fetched::Directory(layout) => {
            let needed = files.iter().filter(|file| layout.needs(file));
            let mut needed: Vec<String> = needed.cloned().collect();
            needed.sort_by_key(|file| layout::is_weights(file));
            Ok(needed)
        }
        Fetched::File(file) if files.iter().any(|known| known == file) => Ok(vec![file.to_owned()]),
        Fetched::File(file) => Err(HubError::NoFile {
            repository: hub.repository(),
            file: file.to_owned(),
            candidates: files
                .iter()
                .filter(|file| file.ends_with(".pt") || file.ends_with(".safetensors"))
                .cloned()
                .collect(),
        }),
    }
}

impl Pull<'_> {
    /// Sizes and ids of files at the commit.
    async fn entries(&self, hub: &HubRef, files: Vec<String>) -> Result<Vec<Entry>, HubError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let request = self.remote.get_paths_info().paths(files.clone());
        let listed = request
            .revision(&*self.commit)
            .send()
            .await
            .map_err(|error| refusal(error, hub))?;
        let find = |file: String| {
            let size_and_id = listed.iter().find_map(|entry| match entry {
                RepoTreeEntry::File {
                    path, size, oid, ..
                } if *path == file => Some((*size, oid.clone())),
                _ => None,
            });
            match size_and_id {
                Some((size, id)) => Ok(Entry {
                    path: file,
                    size,
                    id,
                }),
                None => Err(HubError::NoFile {
                    repository: hub.repository(),
                    file,
                    candidates: Vec::new(),
                }),
            }
        };
        files.into_iter().map(find).collect()
    }

    /// Brings one file into the snapshot.
    async fn file(&self, entry: &Entry, hub: &HubRef) -> Result<(), HubError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| HubError::Cache { path, source }
        };
        let pointer = self
            .repository
            .join("snapshots")
            .join(&self.commit)
            .join(&entry.path);
        if fs::metadata(&pointer).is_ok_and(|found| found.len() == entry.size) {
            return Ok(());
        }
        let blobs = self.repository.join("blobs");
        fs::create_dir_all(&blobs).map_err(failed(&blobs))?;
        fs::create_dir_all(&self.locks).map_err(failed(&self.locks))?;
        let lock = self.locks.join(format!("{}.lock", entry.id));
        let held = File::create(&lock).map_err(failed(&lock))?;
        held.lock().map_err(failed(&lock))?;
        if let Some(name) = self.kept_from_another_commit(entry) {
            return cache::link(&self.repository, &self.commit, &entry.path, &name)
                .map_err(failed(&pointer));
        }
        let partial = blobs.join(format!("{}.incomplete", entry.id));
        let hash = self.content(entry, &partial, hub).await?;
        let Some(name) = hash.blob_name(&entry.id) else {
            fs::remove_file(&partial).map_err(failed(&partial))?;
            return Err(HubError::Damaged {
                file: entry.path.clone(),
            });
        };
        let blob = blobs.join(&name);
        fs::rename(&partial, &blob).map_err(failed(&blob))?;
        cache::link(&self.repository, &self.commit, &entry.path, &name).map_err(failed(&pointer))
    }

    /// Blob of the same file in an earlier snapshot, if its content is that of this commit.
    fn kept_from_another_commit(&self, entry: &Entry) -> Option<String> {
        let snapshots = fs::read_dir(self.repository.join("snapshots")).ok()?;
        snapshots.flatten().find_map(|snapshot| {
            let path = snapshot.path().join(&entry.path);
            if !fs::metadata(&path).is_ok_and(|found| found.len() == entry.size) {
                return None;
            }
            let mut hash = ContentHash::new(entry.size);
            hash_rest(&mut File::open(path).ok()?, &mut hash).ok()?;
            let name = hash.blob_name(&entry.id)?;
            self.repository
                .join("blobs")
                .join(&name)
                .is_file()
                .then_some(name)
        })
    }

    /// Completes the partial file, over any number of cuts, and hashes all of it.
    async fn content(
        &self,
        entry: &Entry,
        partial: &Path,
        hub: &HubRef,
    ) -> Result<ContentHash, HubError> {
        let failed = |source| HubError::Cache {
            path: partial.to_owned(),
            source,
        };
        let mut hash = ContentHash::new(entry.size);
        let (mut file, mut have) = open_partial(partial, entry.size, &mut hash).map_err(failed)?;
        self.progress.file(&entry.path, entry.size, have);
        let mut fruitless = 0;
        while have < entry.size {
            let before = have;
            let cut = match self.stream(entry, have).await {
                Ok(mut stream) => loop {
                    match poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await {
                        Some(Ok(bytes)) => {
                            // More than the rest: the server ignored the range; the hash will tell.
                            let bytes = &bytes[..bytes
                                .len()
                                .min(usize::try_from(entry.size - have).unwrap_or(usize::MAX))];
                            file.write_all(bytes).map_err(failed)?;
                            hash.update(bytes);
                            have += bytes.len() as u64;
                            self.progress.advance(bytes.len() as u64);
                            if have == entry.size {
                                break None;
                            }
                        }
                        Some(Err(error)) => break Some(error),
                        None => break None,
                    }
                },
                Err(error) => return Err(refusal(error, hub)),
            };
            fruitless = if have > before { 0 } else { fruitless + 1 };
            if fruitless > MAX_FRUITLESS_CUTS {
                return Err(cut.map_or_else(
                    || HubError::Cut {
                        file: entry.path.clone(),
                        have,
                        size: entry.size,
                    },
                    |source| HubError::Connection { source },
                ));
            }
            if have < entry.size {
                tokio::time::sleep(PAUSE_AFTER_CUT).await;
            }
        }
        file.sync_all().map_err(failed)?;
        Ok(hash)
    }

    async fn stream(&self, entry: &Entry, from: u64) -> Result<HFByteStream, HFError> {
        let request = self
            .remote
            .download_file_stream()
            .filename(&*entry.path)
            .revision(&*self.commit);
        let (_, stream) = request.range(from..entry.size).send().await?;
        Ok(stream)
    }
}

/// Opens what an earlier run left, hashes it, and stands at its end; a file that is too long starts again.
fn open_partial(path: &Path, size: u64, hash: &mut ContentHash) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    if file.metadata()?.len() > size {
        file.set_len(0)?;
    }
    hash_rest(&mut file, hash)?;
    let have = file.stream_position()?;
    Ok((file, have))
}

/// Hashes from the current position to the end, and stands there.
fn hash_rest(file: &mut File, hash: &mut ContentHash) -> io::Result<()> {
    let mut chunk = vec![0; HASH_CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(()),
            count => hash.update(&chunk[..count]),
        }
    }
}

/// What an answer of the hub means for the caller.
fn refusal(error: HFError, hub: &HubRef) -> HubError {
    let repository = hub.repository();
    match error {
        HFError::RepoNotFound { .. } => HubError::NoRepository { repository },
        HFError::RevisionNotFound {
            context, revision, ..
        } => {
            match context
                .as_ref()
                .and_then(|context| context.error_code.as_deref())
            {
                Some("RepoNotFound") => HubError::NoRepository { repository },
                _ => HubError::NoRevision {
                    repository,
                    revision,
                },
            }
        }
        HFError::AuthRequired { context } | HFError::Forbidden { context } => HubError::Refused {
            repository,
            detail: context
                .server_message
                .unwrap_or_else(|| context.status.to_string()),
        },
        HFError::EntryNotFound { path, .. } => HubError::NoFile {
            repository,
            file: path,
            candidates: Vec::new(),
        },
        source => HubError::Connection { source },
    }
}

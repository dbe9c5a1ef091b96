//! Models from the Hugging Face hub: the shared cache first, then a resumable download.
//!
//! hf-hub 1.0 has no offline mode, starts cut downloads again from zero and writes whatever body the server
//! sent; so the cache is read here, and files are streamed by range and checked against the commit.
mod cache;
mod download;
mod layout;
mod object_id;

use std::path::PathBuf;

use self::layout::Layout;
use super::source::HubRef;

/// How the hub may be used.
#[derive(Clone, Debug)]
pub struct HubAccess {
    /// No connection is opened.
    pub offline: bool,
    /// Cache directory, shared with other Hugging Face tools.
    pub cache: PathBuf,
}

impl HubAccess {
    /// The cache that `HF_HUB_CACHE`, `HF_HOME` or the home directory name.
    pub fn from_env(offline: bool) -> Self {
        Self {
            offline,
            cache: hf_hub::resolve_cache_dir(),
        }
    }
}

/// What a repository is pulled for.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// All files of a diffusers bundle.
    Bundle,
    /// All files of one model of transformers, as a judge is.
    Model,
    /// Either, whichever the repository holds.
    Directory,
    /// One file.
    File(&'a str),
}

/// What is wanted, once it is known what the repository holds.
#[derive(Clone, Copy)]
enum Fetched<'a> {
    Directory(Layout),
    File(&'a str),
}

impl<'a> Wanted<'a> {
    /// `has` says whether the repository holds a file.
    fn of(self, has: impl Fn(&str) -> bool) -> Fetched<'a> {
        match self {
            Self::Bundle => Fetched::Directory(Layout::Bundle),
            Self::Model => Fetched::Directory(Layout::Model),
            Self::Directory => Fetched::Directory(Layout::of(has)),
            Self::File(file) => Fetched::File(file),
        }
    }
}

/// Told about downloads as they go.
pub trait PullProgress {
    /// A file begins, or goes on after `have` of its `size` bytes.
    fn file(&self, path: &str, size: u64, have: u64);
    /// So many more bytes of the file have come.
    fn advance(&self, bytes: u64);
}

/// Tells nobody.
pub struct Silent;

impl PullProgress for Silent {
    fn file(&self, _path: &str, _size: u64, _have: u64) {}
    fn advance(&self, _bytes: u64) {}
}

/// Why the hub could not supply a model.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("{reference} is not in the cache {} (missing {}) and downloads are off; run `npedit pull {reference}` with a connection, or leave out --offline and HF_HUB_OFFLINE", cache.display(), missing.join(", "))]
    NotCached {
        reference: Box<HubRef>,
        cache: PathBuf,
        missing: Vec<String>,
    },
    #[error(
        "the hub refused access to {repository} ({detail}); check the name, and for a private or gated model set HF_TOKEN to a token that may read it"
    )]
    Refused { repository: String, detail: String },
    #[error(
        "the hub has no repository {repository}; check the name, and set HF_TOKEN if it is private"
    )]
    NoRepository { repository: String },
    #[error(
        "{repository} has no revision {revision}; name a branch, a tag or a full commit hash of it"
    )]
    NoRevision {
        repository: String,
        revision: String,
    },
    #[error("{repository} has no file {file}; its weight files are: {}", candidates.join(", "))]
    NoFile {
        repository: String,
        file: String,
        candidates: Vec<String>,
    },
    #[error("{repository} is not a bundle in diffusers layout: it lacks {}", missing.join(", "))]
    NotABundle {
        repository: String,
        missing: Vec<String>,
    },
    #[error("{repository} is not one model in the layout of transformers: it lacks {}", missing.join(", "))]
    NotAModel {
        repository: String,
        missing: Vec<String>,
    },
    #[error(
        "could not download from the hub: {source}; check the connection (and HF_ENDPOINT, proxies), then run the same command again: what has arrived is kept"
    )]
    Connection {
        #[source]
        source: hf_hub::HFError,
    },
    #[error(
        "{file} stopped at {have} of {size} bytes again and again; run the same command again to go on from there"
    )]
    Cut { file: String, have: u64, size: u64 },
    #[error(
        "{file} arrived damaged (its hash is not that of the commit) and was removed; run the same command again"
    )]
    Damaged { file: String },
    #[error("cannot write to the cache at {}: {source}; make room or set HF_HOME to another directory", path.display())]
    Cache {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Local path of what is wanted: from the cache if complete there, else downloaded. Blocks: not for async tasks.
///
/// # Errors
/// Not cached while offline, refused or unknown by the hub, or the download failed.
pub fn obtain(
    hub: &HubRef,
    wanted: Wanted<'_>,
    access: &HubAccess,
    progress: &dyn PullProgress,
) -> Result<PathBuf, HubError> {
    match cache::locate(&access.cache, hub, wanted) {
        Ok(path) => Ok(path),
        Err(missing) if access.offline => Err(HubError::NotCached {
            reference: Box::new(hub.clone()),
            cache: access.cache.clone(),
            missing,
        }),
        Err(_) => download::pull(hub, wanted, &access.cache, progress),
    }
}

/// Like [`obtain`], but asks the hub what the revision is today; offline it only looks into the cache.
///
/// # Errors
/// As [`obtain`].
pub fn refresh(
    hub: &HubRef,
    wanted: Wanted<'_>,
    access: &HubAccess,
    progress: &dyn PullProgress,
) -> Result<PathBuf, HubError> {
    if access.offline {
        return obtain(hub, wanted, access, progress);
    }
    download::pull(hub, wanted, &access.cache, progress)
}

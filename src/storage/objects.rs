//! Files by key: a folder, or an S3-compatible store.
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::TryStreamExt;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    aws::AmazonS3Builder, local::LocalFileSystem, path::Path as Key,
};

use super::{ObjectsChoice, StorageError};

const FOLDER: &str = "objects";
/// Written and taken away at the start, to see that the store creates only once.
const PROBE: &str = "probe";
/// How long one request is tried again: a client is better told soon that the store is away, and a job has a patience of its own.
const RETRIED_FOR: Duration = Duration::from_secs(3);
const RETRIES: usize = 2;

/// Files, each there whole or not at all.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// Where the store is one.
    folder: Option<PathBuf>,
}

impl Objects {
    pub(super) fn open(choice: &ObjectsChoice, directory: &Path) -> Result<Self, StorageError> {
        match choice {
            ObjectsChoice::Embedded => {
                let folder = directory.join(FOLDER);
                fs::create_dir_all(&folder).map_err(|source| StorageError::Directory {
                    path: folder.clone(),
                    source,
                })?;
                let store = LocalFileSystem::new_with_prefix(&folder)?;
                let store = store.with_fsync(true).with_automatic_cleanup(true);
                Ok(Self {
                    store: Arc::new(store),
                    prefix: Key::default(),
                    folder: Some(folder),
                })
            }
            ObjectsChoice::S3(url) => {
                let retry = RetryConfig {
                    max_retries: RETRIES,
                    retry_timeout: RETRIED_FOR,
                    ..RetryConfig::default()
                };
                let store = AmazonS3Builder::from_env().with_url(url);
                let store = store.with_retry(retry).build()?;
                let path = url.trim_start_matches("s3://");
                let prefix = path.split_once('/').map_or("", |(_, prefix)| prefix);
                Ok(Self {
                    store: Arc::new(store),
                    prefix: Key::from(prefix),
                    folder: None,
                })
            }
        }
    }

    fn key(&self, key: &str) -> Key {
        Key::from(format!("{}/{key}", self.prefix))
    }

    /// Writes `bytes`, over what is there.
    ///
    /// # Errors
    /// [`StorageError::Objects`].
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StorageError> {
        self.store
            .put(&self.key(key), PutPayload::from(bytes))
            .await?;
        Ok(())
    }

    /// Writes `bytes` unless there is such a file; answers whether it did.
    ///
    /// # Errors
    /// [`StorageError::Objects`].
    pub async fn create(&self, key: &str, bytes: Vec<u8>) -> Result<bool, StorageError> {
        let options = PutOptions::from(PutMode::Create);
        let key = self.key(key);
        match self.store.put_opts(&key, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The file, if there is one.
    ///
    /// # Errors
    /// [`StorageError::Objects`].
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        match self.store.get(&self.key(key)).await {
            Ok(found) => Ok(Some(found.bytes().await?.into())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keys below `folder`, without it, sorted.
    ///
    /// # Errors
    /// [`StorageError::Objects`].
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        self.named(folder, |_| true).await
    }

    async fn named(
        &self,
        folder: &str,
        counts: impl Fn(SystemTime) -> bool,
    ) -> Result<Vec<String>, StorageError> {
        let folder = self.key(folder);
        let found: Vec<_> = self.store.list(Some(&folder)).try_collect().await?;
        let found = found
            .iter()
            .filter(|object| counts(object.last_modified.into()));
        let names = found.filter_map(|object| {
            let parts: Vec<_> = object.location.prefix_match(&folder)?.collect();
            let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
            Some(parts.join("/"))
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    /// As [`Self::list`], of files that were written longer ago than `age` alone.
    ///
    /// # Errors
    /// [`StorageError::Objects`].
    pub async fn list_older(
        &self,
        folder: &str,
        age: Duration,
    ) -> Result<Vec<String>, StorageError> {
        let until = SystemTime::now() - age;
        self.named(folder, |written| written <= until).await
    }

    /// Takes a file away; one that is not there is no error.
    ///
    /// # Errors
    /// [`StorageError::Objects`].
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        match self.store.delete(&self.key(key)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes everything below `folder` away.
    ///
    /// # Errors
    /// [`StorageError::Objects`].
    pub async fn delete_folder(&self, folder: &str) -> Result<(), StorageError> {
        for name in self.list(folder).await? {
            self.delete(&format!("{folder}/{name}")).await?;
        }
        Ok(())
    }

    /// Takes away what a killed process was writing: only for a process that knows that no other lives.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn sweep_unfinished(&self) -> Result<(), StorageError> {
        match &self.folder {
            Some(folder) => sweep_unfinished(folder).map_err(|source| StorageError::Directory {
                path: folder.clone(),
                source,
            }),
            None => Ok(()),
        }
    }

    /// Whether the store writes, reads, and creates only once.
    pub(super) async fn probe(&self) -> Result<(), StorageError> {
        let key = format!("{PROBE}/{}", uuid::Uuid::now_v7());
        let first = self.create(&key, b"1".to_vec()).await?;
        let second = self.create(&key, b"2".to_vec()).await;
        self.delete(&key).await?;
        match (first, second?) {
            (true, false) => Ok(()),
            _ => Err(StorageError::Unconditional),
        }
    }
}

/// `object_store` writes `NAME#N`, and renames it to `NAME` when it is whole.
fn sweep_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            sweep_unfinished(&path)?;
        } else if name.contains('#') {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

//! Files by key: a folder, or an S3-compatible store.
use std::{path::Path, sync::Arc};

use futures_util::TryStreamExt;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, aws::AmazonS3Builder,
    local::LocalFileSystem, path::Path as Key,
};

use super::{ObjectsChoice, StorageError};

const FOLDER: &str = "objects";
/// Written and taken away at the start, to see that the store creates only once.
const PROBE: &str = "probe";

/// Files, each there whole or not at all.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
}

impl Objects {
    pub(super) fn open(choice: &ObjectsChoice, directory: &Path) -> Result<Self, StorageError> {
        match choice {
            ObjectsChoice::Embedded => {
                let folder = directory.join(FOLDER);
                std::fs::create_dir_all(&folder).map_err(|source| StorageError::Directory {
                    path: folder.clone(),
                    source,
                })?;
                let store = LocalFileSystem::new_with_prefix(folder)?;
                let store = store.with_fsync(true).with_automatic_cleanup(true);
                Ok(Self {
                    store: Arc::new(store),
                    prefix: Key::default(),
                })
            }
            ObjectsChoice::S3(url) => {
                let store = AmazonS3Builder::from_env().with_url(url).build()?;
                let path = url.trim_start_matches("s3://");
                let prefix = path.split_once('/').map_or("", |(_, prefix)| prefix);
                Ok(Self {
                    store: Arc::new(store),
                    prefix: Key::from(prefix),
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
        let folder = self.key(folder);
        let found: Vec<_> = self.store.list(Some(&folder)).try_collect().await?;
        let names = found.iter().filter_map(|object| {
            let parts: Vec<_> = object.location.prefix_match(&folder)?.collect();
            let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
            Some(parts.join("/"))
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
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

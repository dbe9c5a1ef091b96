//! What outlives the process: rows in SQLite or Postgres, files in a folder or an S3-compatible store.
//!
//! A leaf: nothing here knows what a job or an adapter is, but for the tables' columns.
mod database;
mod error;
mod objects;
mod room;
mod settings;
mod viewer;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
};

use self::room::Room;

pub use self::{
    database::{Database, Dialect},
    error::StorageError,
    objects::Objects,
    settings::{DatabaseChoice, ObjectsChoice, StorageSettings},
    viewer::{ANONYMOUS, EVERYONE, Viewer},
};

/// Rows, files, and room for work in progress.
#[derive(Clone, Debug)]
pub struct Storage {
    pub database: Database,
    pub objects: Objects,
    room: Arc<Room>,
    /// Held while the process lives, where the database is a file of this directory.
    alone: Option<Arc<File>>,
}

const LOCK: &str = "npedit.lock";

impl Storage {
    /// Opens, or makes, everything that the settings name.
    ///
    /// # Errors
    /// A directory that cannot be written, another process in it, or a database or store that does not answer.
    pub async fn open(settings: &StorageSettings) -> Result<Self, StorageError> {
        let directory = &settings.data_dir;
        let unwritable = |source| StorageError::Directory {
            path: directory.clone(),
            source,
        };
        fs::create_dir_all(directory).map_err(unwritable)?;
        let directory = &directory.canonicalize().map_err(unwritable)?;
        let alone = match settings.database {
            DatabaseChoice::Embedded => Some(Arc::new(lock(directory)?)),
            DatabaseChoice::Postgres(_) => None,
        };
        let database = Database::open(&settings.database, directory).await?;
        let objects = Objects::open(&settings.objects, directory)?;
        objects.probe().await?;
        let room = Room::open(directory).map_err(|source| StorageError::Directory {
            path: directory.clone(),
            source,
        })?;
        Ok(Self {
            database,
            objects,
            room: Arc::new(room),
            alone,
        })
    }

    /// The rows alone, also while another process is at work on them.
    ///
    /// # Errors
    /// A directory that cannot be written, or a database that does not answer.
    pub async fn rows(settings: &StorageSettings) -> Result<Database, StorageError> {
        let directory = &settings.data_dir;
        fs::create_dir_all(directory).map_err(|source| StorageError::Directory {
            path: directory.clone(),
            source,
        })?;
        Database::open(&settings.database, directory).await
    }

    /// Whether no other process can be at work on the same rows.
    pub fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    /// A folder for work in progress; `name` must be unique among all that live.
    pub fn work(&self, name: &str) -> PathBuf {
        self.room.path.join(name)
    }
}

/// Keeps other processes out of `directory` as long as the answer lives.
fn lock(directory: &Path) -> Result<File, StorageError> {
    let path = directory.join(LOCK);
    let failed = |source| StorageError::Directory {
        path: path.clone(),
        source,
    };
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::InUse {
            path: directory.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

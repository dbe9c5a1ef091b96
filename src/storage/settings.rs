//! Where things are kept.
use std::path::PathBuf;

use crate::config;

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseChoice {
    /// SQLite, in the data directory: one process.
    Embedded,
    /// URL of a Postgres database: any number of processes.
    Postgres(String),
}

/// Which store of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectsChoice {
    /// A folder of the data directory.
    Embedded,
    /// `s3://bucket/prefix`; endpoint and keys come from the usual `AWS_*` variables.
    S3(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageSettings {
    pub data_dir: PathBuf,
    pub database: DatabaseChoice,
    pub objects: ObjectsChoice,
}

impl From<&config::Storage> for StorageSettings {
    fn from(storage: &config::Storage) -> Self {
        let database = storage.database_url.clone();
        let objects = storage.objects_url.clone();
        Self {
            data_dir: storage.data_dir.clone(),
            database: database.map_or(DatabaseChoice::Embedded, DatabaseChoice::Postgres),
            objects: objects.map_or(ObjectsChoice::Embedded, ObjectsChoice::S3),
        }
    }
}

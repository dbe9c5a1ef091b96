//! Why something could not be kept or found.
use std::{io, path::PathBuf};

/// Rows or files are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error(
        "cannot write {}: {source}; choose another directory with --data-dir, or free space and permissions there",
        path.display()
    )]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} is in use by another npedit; stop it, choose another --data-dir, or share a Postgres database (storage.database_url)",
        path.display()
    )]
    InUse { path: PathBuf },
    #[error(
        "the database does not answer as it should: {0}; check storage.database_url and the server behind it"
    )]
    Database(#[from] sqlx::Error),
    #[error(
        "the database's tables cannot be made: {0}; use the npedit version that made them, or a newer one"
    )]
    Schema(#[from] sqlx::migrate::MigrateError),
    #[error(
        "the object store does not answer as it should: {0}; check storage.objects_url, its keys, and free space"
    )]
    Objects(#[from] object_store::Error),
    #[error(
        "the object store overwrites what must only be created once; choose a store with conditional writes (If-None-Match)"
    )]
    Unconditional,
    #[error(
        "{table} {key} holds what this version cannot read: {problem}; use the npedit version that wrote it"
    )]
    Unreadable {
        table: &'static str,
        key: String,
        problem: String,
    },
}

impl StorageError {
    /// Whether this machine's disk has no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Directory { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }

    /// Whether the same request may work in a while.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database(error) => matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::Database(_)
            ),
            Self::Objects(error) => !matches!(
                error,
                object_store::Error::NotFound { .. } | object_store::Error::InvalidPath { .. }
            ),
            Self::Directory { .. } => true,
            Self::InUse { .. }
            | Self::Schema(_)
            | Self::Unconditional
            | Self::Unreadable { .. } => false,
        }
    }
}

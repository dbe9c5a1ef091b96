//! Adapters that are kept: immutable, named by their hash, with aliases that move.
use std::{fs, io::Write, path::Path};

use serde_json::Value;
use sqlx::{Any, Row, Transaction, any::AnyRow};
use uuid::Uuid;

use super::{Adapter, AdapterError, Alias, Target, read, write};
use crate::storage::{Storage, StorageError, Viewer};

/// Adapters and aliases in rows, weights in the object store.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(super) storage: Storage,
}

/// One kept adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: String,
    pub owner: String,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Of its weights, as diffusers reads them.
    pub bytes: i64,
    /// Where it comes from.
    pub lineage: Value,
    /// Names that stand for it, sorted.
    pub aliases: Vec<String>,
}

/// A file as another program reads it.
#[derive(Clone, Debug)]
pub struct Download {
    pub name: &'static str,
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("there is no adapter {name:?}; GET /v1/adapters lists them")]
    Unknown { name: String },
    #[error(
        "{name:?} is no alias: use 1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first, and not the form of an id"
    )]
    AliasName { name: String },
    #[error(
        "the alias {name:?} is at version {found}, not {expected}; read it again and decide anew"
    )]
    AliasMoved {
        name: String,
        expected: i64,
        found: i64,
    },
    #[error("the adapter is in use: {by}; move the alias or end the job first")]
    InUse { by: String },
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    #[error("the adapter could not be packed: {0}; free space in the data directory")]
    Pack(#[from] std::io::Error),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for RegistryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

pub(super) type RegistryResult<T> = Result<T, RegistryError>;

const PEFT: &str = "peft";

impl Registry {
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// Writes the adapter's files to the store; writing them again changes nothing. Answers their bytes for diffusers.
    ///
    /// # Errors
    /// No room, or no store.
    pub async fn store_files(&self, adapter: &Adapter) -> RegistryResult<i64> {
        let id = adapter.id().as_str().to_owned();
        let folder = self.scratch()?;
        let (copy, target) = (adapter.clone(), folder.path.clone());
        let written = tokio::task::spawn_blocking(move || {
            let diffusers = write(&copy, &target, Target::Diffusers)?;
            write(&copy, &target.join(PEFT), Target::Peft)?;
            Ok::<_, AdapterError>(fs::metadata(diffusers).map_or(0, |found| found.len()))
        });
        let bytes = written.await.map_err(std::io::Error::other)??;
        let peft = Target::Peft.files().iter();
        let peft = peft.map(|name| format!("{PEFT}/{name}"));
        let all = Target::Diffusers.files().iter();
        for name in all.map(|name| (*name).to_owned()).chain(peft) {
            let content = fs::read(folder.path.join(&name))?;
            let key = format!("adapters/{id}/{name}");
            self.storage.objects.create(&key, content).await?;
        }
        Ok(bytes as i64)
    }

    /// Enters an adapter of `owner` whose files are stored; one that is there already stays as it is.
    ///
    /// # Errors
    /// No database.
    pub async fn enter(
        &self,
        tx: &mut Transaction<'static, Any>,
        owner: &str,
        (id, bytes): (&str, i64),
        lineage: &Value,
    ) -> RegistryResult<()> {
        let now = self.storage.database.now_in(tx).await?;
        self.hold(tx, id).await?;
        let insert = "INSERT INTO adapters (id, owner, created, bytes, lineage) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert).bind(id).bind(owner).bind(now);
        let insert = insert.bind(bytes).bind(lineage.to_string());
        insert.execute(&mut **tx).await?;
        Ok(())
    }

    /// Takes an adapter's file (or folder) in, as the viewer's.
    ///
    /// # Errors
    /// No adapter, or no storage.
    pub async fn import(
        &self,
        viewer: &Viewer,
        path: &Path,
        lineage: &Value,
    ) -> RegistryResult<Entry> {
        let path = path.to_owned();
        let found = tokio::task::spawn_blocking(move || read(&path));
        let adapter = found.await.map_err(std::io::Error::other)??.adapter;
        let bytes = self.store_files(&adapter).await?;
        let mut tx = self.storage.database.begin().await?;
        let id = adapter.id().as_str();
        self.enter(&mut tx, viewer.name(), (id, bytes), lineage)
            .await?;
        self.store_missing(&adapter).await?;
        tx.commit().await.map_err(StorageError::from)?;
        self.entry(viewer, id).await
    }

    /// Newest first.
    ///
    /// # Errors
    /// No database.
    pub async fn list(&self, viewer: &Viewer) -> RegistryResult<Vec<Entry>> {
        let select = "SELECT id, owner, created, bytes, lineage FROM adapters WHERE (owner = $1 OR $2 = 1) ORDER BY created DESC, id, owner";
        let select = sqlx::query(select).bind(viewer.name());
        let rows = select.bind(viewer.sees_all());
        let rows = rows.fetch_all(self.storage.database.pool()).await?;
        let aliases = self.aliases(viewer).await?;
        rows.iter()
            .map(|row| Entry::of_row(row, &aliases))
            .collect()
    }

    /// By id or alias; the viewer's own before others of that name.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], or no database.
    pub async fn entry(&self, viewer: &Viewer, name: &str) -> RegistryResult<Entry> {
        let aliases = self.aliases(viewer).await?;
        let alias = aliases.iter().find(|alias| alias.name == name);
        let id = alias.map_or(name, |alias| &alias.adapter);
        let select = "SELECT id, owner, created, bytes, lineage FROM adapters WHERE id = $1 AND (owner = $2 OR $3 = 1) ORDER BY CASE WHEN owner = $4 THEN 0 ELSE 1 END, created LIMIT 1";
        let select = sqlx::query(select).bind(id).bind(viewer.name());
        let select = select.bind(viewer.sees_all());
        let select = select.bind(alias.map_or(viewer.name(), |alias| &alias.owner));
        let row = select.fetch_optional(self.storage.database.pool()).await?;
        let unknown = || RegistryError::Unknown { name: name.into() };
        Entry::of_row(&row.ok_or_else(unknown)?, &aliases)
    }

    /// The adapter of an id, whoever owns it.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], or no storage.
    pub async fn adapter(&self, id: &str) -> RegistryResult<Adapter> {
        let file = self.packed(id, Target::Diffusers).await?;
        let folder = self.scratch()?;
        let path = folder.path.join(file.name);
        fs::write(&path, file.bytes)?;
        let found = tokio::task::spawn_blocking(move || read(&path));
        Ok(found.await.map_err(std::io::Error::other)??.adapter)
    }

    /// The weights of an id or alias: one safetensors file for diffusers, a zip of two files for PEFT.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], or no storage.
    pub async fn download(
        &self,
        viewer: &Viewer,
        name: &str,
        target: Target,
    ) -> RegistryResult<Download> {
        let id = self.entry(viewer, name).await?.id;
        self.packed(&id, target).await
    }

    async fn packed(&self, id: &str, target: Target) -> RegistryResult<Download> {
        let get = async |file: String| {
            let key = format!("adapters/{id}/{file}");
            let found = self.storage.objects.get(&key).await?;
            found.ok_or_else(|| RegistryError::Unknown { name: id.into() })
        };
        match target {
            Target::Diffusers => {
                let name = target.files()[0];
                Ok(Download {
                    name,
                    media_type: "application/octet-stream",
                    bytes: get(name.to_owned()).await?,
                })
            }
            Target::Peft => {
                let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
                let stored = zip::write::SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Stored);
                for file in target.files() {
                    let content = get(format!("{PEFT}/{file}")).await?;
                    zip.start_file(*file, stored)
                        .map_err(std::io::Error::other)?;
                    zip.write_all(&content)?;
                }
                Ok(Download {
                    name: "peft.zip",
                    media_type: "application/zip",
                    bytes: zip.finish().map_err(std::io::Error::other)?.into_inner(),
                })
            }
        }
    }

    /// Takes an adapter away from its owner; its files go with the last one.
    ///
    /// # Errors
    /// [`RegistryError::InUse`] where an alias stands for it, [`RegistryError::Unknown`], or no storage.
    pub async fn delete(&self, viewer: &Viewer, id: &str) -> RegistryResult<()> {
        let entry = self.entry(viewer, id).await?;
        let delete = "DELETE FROM adapters WHERE id = $1 AND owner = $2 AND NOT EXISTS (SELECT 1 FROM aliases WHERE adapter = $1 AND owner = $2)";
        let mut tx = self.storage.database.begin().await?;
        let delete = sqlx::query(delete).bind(&entry.id).bind(&entry.owner);
        if delete.execute(&mut *tx).await?.rows_affected() == 0 {
            let by = format!("the alias {:?} stands for it", entry.aliases.join(", "));
            return Err(RegistryError::InUse { by });
        }
        tx.commit().await.map_err(StorageError::from)?;
        self.sweep(&entry.id).await
    }

    fn scratch(&self) -> RegistryResult<Scratch> {
        let path = self.storage.work(&format!("adapter-{}", Uuid::now_v7()));
        fs::create_dir_all(&path)?;
        Ok(Scratch { path })
    }
}

impl Entry {
    fn of_row(row: &AnyRow, aliases: &[Alias]) -> RegistryResult<Self> {
        let id: String = row.try_get(0)?;
        let owner: String = row.try_get(1)?;
        let lineage: String = row.try_get(4)?;
        let own = |alias: &&Alias| alias.adapter == id && alias.owner == owner;
        let own = aliases.iter().filter(own);
        Ok(Self {
            aliases: own.map(|alias| alias.name.clone()).collect(),
            created: row.try_get(2)?,
            bytes: row.try_get(3)?,
            lineage: serde_json::from_str(&lineage).unwrap_or_default(),
            id,
            owner,
        })
    }
}

/// A folder that goes away.
struct Scratch {
    path: std::path::PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is swept away when the process starts again.
        let _ = fs::remove_dir_all(&self.path);
    }
}

//! Adapters that are kept: immutable, named by their hash, with aliases that move.
use std::{fs, io::Write, path::Path};

use serde_json::Value;
use sqlx::{Any, Row, Transaction, any::AnyRow};
use uuid::Uuid;

use super::{Adapter, AdapterError, Target, read, write};
use crate::storage::{Storage, StorageError};

/// Adapters and aliases in rows, weights in the object store.
#[derive(Clone, Debug)]
pub struct Registry {
    storage: Storage,
}

/// One kept adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: String,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Of its weights, as diffusers reads them.
    pub bytes: i64,
    /// Where it comes from.
    pub lineage: Value,
    /// Names that stand for it, sorted.
    pub aliases: Vec<String>,
}

/// A name that stands for an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    pub name: String,
    pub adapter: String,
    /// Counts moves, from 1; 0 is a name that stands for nothing yet.
    pub version: i64,
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

type RegistryResult<T> = Result<T, RegistryError>;

const PEFT: &str = "peft";
const MAX_NAME: usize = 64;
/// Of a hex SHA-256.
const ID_LENGTH: usize = 64;

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

    /// Enters an adapter whose files are stored; one that is there already stays as it is.
    ///
    /// # Errors
    /// No database.
    pub async fn enter(
        &self,
        tx: &mut Transaction<'static, Any>,
        (id, bytes): (&str, i64),
        lineage: &Value,
    ) -> RegistryResult<()> {
        let now = self.storage.database.now_in(tx).await?;
        let insert = "INSERT INTO adapters (id, created, bytes, lineage) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert).bind(id).bind(now).bind(bytes);
        insert.bind(lineage.to_string()).execute(&mut **tx).await?;
        Ok(())
    }

    /// Takes an adapter's file (or folder) in.
    ///
    /// # Errors
    /// No adapter, or no storage.
    pub async fn import(&self, path: &Path, lineage: &Value) -> RegistryResult<Entry> {
        let path = path.to_owned();
        let found = tokio::task::spawn_blocking(move || read(&path));
        let adapter = found.await.map_err(std::io::Error::other)??.adapter;
        let bytes = self.store_files(&adapter).await?;
        let mut tx = self.storage.database.begin().await?;
        let id = adapter.id().as_str();
        self.enter(&mut tx, (id, bytes), lineage).await?;
        tx.commit().await.map_err(StorageError::from)?;
        self.entry(id).await
    }

    /// Newest first.
    ///
    /// # Errors
    /// No database.
    pub async fn list(&self) -> RegistryResult<Vec<Entry>> {
        let select = "SELECT id, created, bytes, lineage FROM adapters ORDER BY created DESC, id";
        let rows = sqlx::query(select)
            .fetch_all(self.storage.database.pool())
            .await?;
        let aliases = self.aliases().await?;
        rows.iter()
            .map(|row| Entry::of_row(row, &aliases))
            .collect()
    }

    /// By id or alias.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], or no database.
    pub async fn entry(&self, name: &str) -> RegistryResult<Entry> {
        let select = "SELECT id, created, bytes, lineage FROM adapters WHERE id = $1 OR id = (SELECT adapter FROM aliases WHERE name = $1)";
        let select = sqlx::query(select).bind(name);
        let row = select.fetch_optional(self.storage.database.pool()).await?;
        let unknown = || RegistryError::Unknown { name: name.into() };
        Entry::of_row(&row.ok_or_else(unknown)?, &self.aliases().await?)
    }

    /// The adapter of an id or alias.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], or no storage.
    pub async fn adapter(&self, name: &str) -> RegistryResult<Adapter> {
        let id = self.entry(name).await?.id;
        let file = self.download(&id, Target::Diffusers).await?;
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
    pub async fn download(&self, name: &str, target: Target) -> RegistryResult<Download> {
        let id = self.entry(name).await?.id;
        let get = async |file: String| {
            let key = format!("adapters/{id}/{file}");
            let found = self.storage.objects.get(&key).await?;
            found.ok_or_else(|| RegistryError::Unknown { name: name.into() })
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

    /// Every alias, by name.
    ///
    /// # Errors
    /// No database.
    pub async fn aliases(&self) -> RegistryResult<Vec<Alias>> {
        let select = "SELECT name, adapter, version FROM aliases ORDER BY name";
        let rows = sqlx::query(select)
            .fetch_all(self.storage.database.pool())
            .await?;
        let aliases = rows.iter().map(|row| {
            Ok(Alias {
                name: row.try_get(0)?,
                adapter: row.try_get(1)?,
                version: row.try_get(2)?,
            })
        });
        aliases
            .collect::<Result<_, sqlx::Error>>()
            .map_err(Into::into)
    }

    /// The alias as it stands; of version 0 where nothing has the name.
    ///
    /// # Errors
    /// No alias' name, or no database.
    pub async fn alias(&self, name: &str) -> RegistryResult<Alias> {
        check_name(name)?;
        let found = self.aliases().await?.into_iter();
        let found = found.into_iter().find(|alias| alias.name == name);
        Ok(found.unwrap_or_else(|| Alias {
            name: name.into(),
            adapter: String::new(),
            version: 0,
        }))
    }

    /// Moves an alias, provided that it is as the caller last saw it.
    ///
    /// # Errors
    /// [`RegistryError::AliasMoved`], [`RegistryError::Unknown`], or no database.
    pub async fn move_alias(&self, seen: &Alias, adapter: &str) -> RegistryResult<Alias> {
        check_name(&seen.name)?;
        let id = self.entry(adapter).await?.id;
        let mut tx = self.storage.database.begin().await?;
        let moved = self.move_in(&mut tx, seen, &id).await?;
        tx.commit().await.map_err(StorageError::from)?;
        let now = self.alias(&seen.name).await?;
        match moved {
            true => Ok(now),
            false => Err(RegistryError::AliasMoved {
                name: seen.name.clone(),
                expected: seen.version,
                found: now.version,
            }),
        }
    }

    /// As [`Self::move_alias`], together with what else the transaction writes; answers whether it moved.
    ///
    /// # Errors
    /// No database.
    pub async fn move_in(
        &self,
        tx: &mut Transaction<'static, Any>,
        seen: &Alias,
        id: &str,
    ) -> RegistryResult<bool> {
        let query = match seen.version {
            0 => {
                "INSERT INTO aliases (name, adapter, version) VALUES ($1, $2, $3 + 1) ON CONFLICT DO NOTHING"
            }
            _ => {
                "UPDATE aliases SET adapter = $2, version = version + 1 WHERE name = $1 AND version = $3"
            }
        };
        let query = sqlx::query(query).bind(&seen.name).bind(id);
        let done = query.bind(seen.version).execute(&mut **tx).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a name away from its adapter.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], or no database.
    pub async fn delete_alias(&self, name: &str) -> RegistryResult<()> {
        let delete = sqlx::query("DELETE FROM aliases WHERE name = $1").bind(name);
        let done = delete.execute(self.storage.database.pool()).await?;
        match done.rows_affected() {
            0 => Err(RegistryError::Unknown { name: name.into() }),
            _ => Ok(()),
        }
    }

    /// Takes an adapter away for good.
    ///
    /// # Errors
    /// [`RegistryError::InUse`] where an alias stands for it, [`RegistryError::Unknown`], or no storage.
    pub async fn delete(&self, id: &str) -> RegistryResult<()> {
        let entry = self.entry(id).await?;
        let delete = "DELETE FROM adapters WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM aliases WHERE adapter = $1)";
        let delete = sqlx::query(delete).bind(&entry.id);
        let done = delete.execute(self.storage.database.pool()).await?;
        if done.rows_affected() == 0 {
            let by = format!("the alias {:?} stands for it", entry.aliases.join(", "));
            return Err(RegistryError::InUse { by });
        }
        let folder = format!("adapters/{}", entry.id);
        Ok(self.storage.objects.delete_folder(&folder).await?)
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
        let lineage: String = row.try_get(3)?;
        let own = aliases.iter().filter(|alias| alias.adapter == id);
        Ok(Self {
            aliases: own.map(|alias| alias.name.clone()).collect(),
            created: row.try_get(1)?,
            bytes: row.try_get(2)?,
            lineage: serde_json::from_str(&lineage).unwrap_or_default(),
            id,
        })
    }
}

/// # Errors
/// [`RegistryError::AliasName`].
pub fn check_name(name: &str) -> RegistryResult<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let all = name
        .bytes()
        .all(|byte| plain(byte) || b"._-".contains(&byte));
    let first = name.bytes().next().is_some_and(plain);
    let is_id = name.len() == ID_LENGTH && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    match all && first && !is_id && name.len() <= MAX_NAME {
        true => Ok(()),
        false => Err(RegistryError::AliasName { name: name.into() }),
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

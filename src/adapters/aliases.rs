//! Names that stand for kept adapters, every owner's for itself.
use sqlx::{Any, Row, Transaction};

use super::{Registry, RegistryError, registry::RegistryResult};
use crate::storage::{StorageError, Viewer};

/// A name that stands for an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    pub owner: String,
    pub name: String,
    pub adapter: String,
    /// Counts moves, from 1; 0 is a name that stands for nothing yet.
    pub version: i64,
}

const MAX_NAME: usize = 64;
/// Of a hex SHA-256.
const ID_LENGTH: usize = 64;

impl Registry {
    /// Every alias, by name; the viewer's own before others of a name.
    ///
    /// # Errors
    /// No database.
    pub async fn aliases(&self, viewer: &Viewer) -> RegistryResult<Vec<Alias>> {
        let select = "SELECT owner, name, adapter, version FROM aliases WHERE (owner = $1 OR $2 = 1) ORDER BY name, CASE WHEN owner = $1 THEN 0 ELSE 1 END, owner";
        let select = sqlx::query(select).bind(viewer.name());
        let rows = select.bind(viewer.sees_all());
        let rows = rows.fetch_all(self.storage.database.pool()).await?;
        let aliases = rows.iter().map(|row| {
            Ok(Alias {
                owner: row.try_get(0)?,
                name: row.try_get(1)?,
                adapter: row.try_get(2)?,
                version: row.try_get(3)?,
            })
        });
        aliases
            .collect::<Result<_, sqlx::Error>>()
            .map_err(Into::into)
    }

    /// The alias as it stands; the viewer's own, of version 0, where nothing has the name.
    ///
    /// # Errors
    /// No alias' name, or no database.
    pub async fn alias(&self, viewer: &Viewer, name: &str) -> RegistryResult<Alias> {
        check_name(name)?;
        let found = self.aliases(viewer).await?.into_iter();
        let found = found.into_iter().find(|alias| alias.name == name);
        Ok(found.unwrap_or_else(|| Alias {
            owner: viewer.name().into(),
            name: name.into(),
            adapter: String::new(),
            version: 0,
        }))
    }

    /// Moves an alias, provided that it is as the caller last saw it.
    ///
    /// # Errors
    /// [`RegistryError::AliasMoved`], [`RegistryError::Unknown`], or no database.
    pub async fn move_alias(
        &self,
        viewer: &Viewer,
        seen: &Alias,
        adapter: &str,
    ) -> RegistryResult<Alias> {
        check_name(&seen.name)?;
        let id = self.entry(viewer, adapter).await?.id;
        let mut tx = self.storage.database.begin().await?;
        let moved = self.move_in(&mut tx, seen, &id).await?;
        tx.commit().await.map_err(StorageError::from)?;
        let now = self.alias(viewer, &seen.name).await?;
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
                "INSERT INTO aliases (name, owner, adapter, version) VALUES ($1, $2, $3, $4 + 1) ON CONFLICT DO NOTHING"
            }
            _ => {
                "UPDATE aliases SET adapter = $3, version = version + 1 WHERE name = $1 AND owner = $2 AND version = $4"
            }
        };
        let query = sqlx::query(query).bind(&seen.name).bind(&seen.owner);
        let query = query.bind(id).bind(seen.version);
        Ok(query.execute(&mut **tx).await?.rows_affected() == 1)
    }

    /// Takes a name away from its adapter.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], or no database.
    pub async fn delete_alias(&self, viewer: &Viewer, name: &str) -> RegistryResult<()> {
        let unknown = || RegistryError::Unknown { name: name.into() };
        let aliases = self.aliases(viewer).await?;
        let alias = aliases.iter().find(|alias| alias.name == name);
        let alias = alias.ok_or_else(unknown)?;
        let delete = sqlx::query("DELETE FROM aliases WHERE name = $1 AND owner = $2");
        let delete = delete.bind(name).bind(&alias.owner);
        let done = delete.execute(self.storage.database.pool()).await?;
        match done.rows_affected() {
            0 => Err(unknown()),
            _ => Ok(()),
        }
    }
}

/// # Errors
/// [`RegistryError::AliasName`].
fn check_name(name: &str) -> RegistryResult<()> {
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

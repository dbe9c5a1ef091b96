//! Keys in the database.
use sqlx::{Row, any::AnyRow};
use uuid::Uuid;

use super::{Scopes, Secret, StorageError};
use crate::storage::Database;

/// The kept keys; a cheap handle.
#[derive(Clone, Debug)]
pub struct Keys {
    database: Database,
}

/// A key as it is kept: without its secret.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRow {
    pub id: String,
    /// Owner of what is made with it.
    pub name: String,
    /// The secret's first characters.
    pub prefix: String,
    pub scopes: Scopes,
    /// Milliseconds since 1970.
    pub created: i64,
    /// 0 is a key that works.
    pub revoked: i64,
}

/// A key that was just made: the only time that its secret is known.
#[derive(Debug)]
pub struct NewKey {
    pub secret: Secret,
    pub row: KeyRow,
}

const COLUMNS: &str = "SELECT id, name, prefix, scopes, created, revoked FROM api_keys";

impl Keys {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Keeps the hash of `secret`; `name` as [`crate::config::is_key_name`] has it.
    ///
    /// # Errors
    /// No database.
    pub async fn create(
        &self,
        secret: Secret,
        name: &str,
        scopes: Scopes,
    ) -> Result<NewKey, StorageError> {
        let row = KeyRow {
            id: format!("key_{}", Uuid::now_v7().simple()),
            name: name.to_owned(),
            prefix: secret.prefix(),
            scopes,
            created: self.database.now_ms().await?,
            revoked: 0,
        };
        let insert = "INSERT INTO api_keys (id, name, prefix, hash, scopes, created, revoked) VALUES ($1, $2, $3, $4, $5, $6, 0)";
        let insert = sqlx::query(insert).bind(&row.id).bind(&row.name);
        let insert = insert.bind(&row.prefix).bind(secret.hash());
        let insert = insert.bind(row.scopes.names().join(" ")).bind(row.created);
        insert.execute(self.database.pool()).await?;
        Ok(NewKey { secret, row })
    }

    /// The key whose secret has that hash, if it works.
    ///
    /// # Errors
    /// No database.
    pub async fn find(&self, hash: &str) -> Result<Option<KeyRow>, StorageError> {
        let select = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE hash = $1 AND revoked = 0"));
        let select = sqlx::query(select).bind(hash);
        let row = select.fetch_optional(self.database.pool()).await?;
        row.as_ref().map(KeyRow::of_row).transpose()
    }

    /// Whether there ever was a key. Revoking the last one must not open the doors.
    ///
    /// # Errors
    /// No database.
    pub async fn exist(&self) -> Result<bool, StorageError> {
        let select = sqlx::query("SELECT id FROM api_keys LIMIT 1");
        let row = select.fetch_optional(self.database.pool()).await?;
        Ok(row.is_some())
    }

    /// Oldest first, revoked ones too.
    ///
    /// # Errors
    /// No database.
    pub async fn list(&self) -> Result<Vec<KeyRow>, StorageError> {
        let select = sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY id"));
        let rows = sqlx::query(select).fetch_all(self.database.pool()).await?;
        rows.iter().map(KeyRow::of_row).collect()
    }

    /// Refuses a key from now on; whether there is one of that id. What was made with it stays.
    ///
    /// # Errors
    /// No database.
    pub async fn revoke(&self, id: &str) -> Result<bool, StorageError> {
        let now = self.database.now_ms().await?;
        let update = "UPDATE api_keys SET revoked = CASE WHEN revoked = 0 THEN $1 ELSE revoked END WHERE id = $2";
        let update = sqlx::query(update).bind(now).bind(id);
        let done = update.execute(self.database.pool()).await?;
        Ok(done.rows_affected() == 1)
    }
}

impl KeyRow {
    fn of_row(row: &AnyRow) -> Result<Self, StorageError> {
        let scopes: String = row.try_get(3)?;
        Ok(Self {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            prefix: row.try_get(2)?,
            scopes: Scopes::of_text(&scopes),
            created: row.try_get(4)?,
            revoked: row.try_get(5)?,
        })
    }
}

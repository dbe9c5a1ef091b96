//! Files of adapters and the rows that they belong to, kept together whoever dies in between.
use sqlx::{Any, Transaction};

use super::{Adapter, Registry, Target, registry::RegistryResult};
use crate::storage::Dialect;

impl Registry {
    /// Writes the files of an adapter that are not there.
    ///
    /// # Errors
    /// No room, or no store.
    pub async fn store_missing(&self, adapter: &Adapter) -> RegistryResult<()> {
        let folder = format!("adapters/{}", adapter.id().as_str());
        let stored = self.storage.objects.list(&folder).await?;
        if stored.len() < Target::Diffusers.files().len() + Target::Peft.files().len() {
            self.store_files(adapter).await?;
        }
        Ok(())
    }

    /// Takes the files of an id away that has no row, even while others store the same adapter.
    ///
    /// Whoever enters a row of the id waits meanwhile, and looks at the files afterwards.
    ///
    /// # Errors
    /// No storage.
    pub async fn sweep(&self, id: &str) -> RegistryResult<()> {
        let mut tx = self.storage.database.begin().await?;
        self.hold(&mut tx, id).await?;
        let owned = sqlx::query("SELECT id FROM adapters WHERE id = $1 LIMIT 1").bind(id);
        if owned.fetch_optional(&mut *tx).await?.is_none() {
            let folder = format!("adapters/{id}");
            self.storage.objects.delete_folder(&folder).await?;
        }
        Ok(tx.rollback().await?)
    }

    /// Keeps others from entering and sweeping an id until the transaction ends.
    pub(super) async fn hold(
        &self,
        tx: &mut Transaction<'static, Any>,
        id: &str,
    ) -> RegistryResult<()> {
        // SQLite's one connection is the transaction's
        if self.storage.database.dialect() == Dialect::Postgres {
            // a type that both the driver and Postgres know
            let lock = "SELECT CAST(pg_advisory_xact_lock(hashtext($1)) AS TEXT)";
            sqlx::query(lock).bind(id).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

//! What a process that was killed left behind.
use std::{collections::HashSet, time::Duration};

use sqlx::Row;

use super::{JobResult, Jobs, captures};

/// Folders of the store, and the rows that their files belong to.
const OWNED: &[(&str, &str)] = &[
    ("datasets", "SELECT id FROM datasets"),
    (ADAPTERS, "SELECT id FROM adapters"),
    ("jobs", "SELECT id FROM jobs"),
    (captures::FOLDER, "SELECT id FROM captured"),
];
const ADAPTERS: &str = "adapters";
/// Files come before their row: where others are at work too, a file without one is only left over after so long.
const OTHERS_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

impl Jobs {
    /// Takes away files that no row names; where this process is the only one, it also takes over the leases of the one before.
    ///
    /// # Errors
    /// No storage.
    pub async fn recover(&self) -> JobResult<()> {
        let alone = self.storage.is_alone();
        if alone {
            self.queue.take_over().await?;
            self.storage.objects.sweep_unfinished()?;
        }
        for (folder, select) in OWNED {
            let objects = &self.storage.objects;
            // in this order: a file that comes later is not looked at
            let files = match alone {
                true => objects.list(folder).await?,
                false => objects.list_older(folder, OTHERS_PATIENCE).await?,
            };
            let rows = sqlx::query(*select).fetch_all(self.storage.database.pool());
            let rows = rows.await?;
            let known: Result<HashSet<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
            let known = known?;
            for file in files {
                let owner = file.split('/').next().unwrap_or_default();
                if known.contains(owner) {
                    continue;
                }
                tracing::info!(file, folder, "removing a file that nothing names");
                match *folder {
                    ADAPTERS => self.registry.sweep(owner).await?,
                    _ => objects.delete(&format!("{folder}/{file}")).await?,
                }
            }
        }
        Ok(())
    }
}

//! What a process that was killed left behind.
use std::collections::HashSet;

use sqlx::Row;

use super::{JobResult, Jobs};

/// Folders of the store, and the rows that their files belong to.
const OWNED: &[(&str, &str)] = &[
    ("datasets", "SELECT id FROM datasets"),
    ("adapters", "SELECT id FROM adapters"),
    ("jobs", "SELECT id FROM jobs"),
];

impl Jobs {
    /// Where this process is the only one: takes over the leases of the one before, and takes away files that no row names.
    ///
    /// # Errors
    /// No storage.
    pub async fn recover(&self) -> JobResult<()> {
        if !self.storage.is_alone() {
            return Ok(());
        }
        self.queue.take_over().await?;
        for (folder, select) in OWNED {
            let rows = sqlx::query(*select).fetch_all(self.storage.database.pool());
            let rows = rows.await?;
            let known: Result<HashSet<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
            let known = known?;
            for file in self.storage.objects.list(folder).await? {
                let owner = file.split('/').next().unwrap_or_default();
                if !known.contains(owner) {
                    tracing::info!(file, folder, "removing a file that nothing names");
                    let key = format!("{folder}/{file}");
                    self.storage.objects.delete(&key).await?;
                }
            }
        }
        let work = self.storage.work("");
        for entry in std::fs::read_dir(work).into_iter().flatten().flatten() {
            // what cannot be removed is in nobody's way
            let _ = std::fs::remove_dir_all(entry.path());
        }
        Ok(())
    }
}

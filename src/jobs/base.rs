//! Adapters that jobs go on from.
use sqlx::Row;

use super::{JobResult, Jobs, Viewer};
use crate::adapters::RegistryError;

impl Jobs {
    /// Takes an adapter away from its owner, for whom no alias stands for it and no living job goes on from it.
    ///
    /// # Errors
    /// [`RegistryError::InUse`], [`RegistryError::Unknown`], or no storage.
    pub async fn delete_adapter(&self, viewer: &Viewer, name: &str) -> JobResult<()> {
        let entry = self.registry.entry(viewer, name).await?;
        let living = "SELECT id FROM jobs WHERE owner = $1 AND plan LIKE $2 AND status IN ('queued', 'running', 'paused', 'cancelling')";
        let plan = format!("%\"base_adapter\":\"{}\"%", entry.id);
        let job = sqlx::query(living).bind(&entry.owner).bind(plan);
        let job = job.fetch_optional(self.storage.database.pool()).await?;
        if let Some(row) = job {
            let job: String = row.try_get(0)?;
            let by = format!("the job {job} goes on from it");
            return Err(RegistryError::InUse { by }.into());
        }
        Ok(self.registry.delete(viewer, &entry.id).await?)
    }
}

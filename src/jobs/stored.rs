//! What jobs leave for clients to read, and what their steps took.
use serde_json::Value;
use sqlx::Row;

use super::{Idempotency, Job, JobError, JobResult, Queue, job::folder};

/// Steps that an estimate looks back at.
const RECENT: i64 = 20;

impl Queue {
    /// The job that the same request made before, if it did.
    ///
    /// # Errors
    /// [`JobError::KeyReused`], or no database.
    pub async fn earlier(&self, once: &Idempotency) -> JobResult<Option<Job>> {
        let select = "SELECT fingerprint, made FROM idempotency WHERE owner = $1 AND key = $2";
        let select = sqlx::query(select).bind(&once.owner).bind(&once.key);
        let row = select.fetch_optional(self.storage.database.pool()).await?;
        let Some(row) = row else { return Ok(None) };
        if row.try_get::<String, _>(0)? != once.fingerprint {
            return Err(JobError::KeyReused);
        }
        Ok(Some(self.job(&row.try_get::<String, _>(1)?).await?))
    }

    /// Names of a job's files in one of its folders, sorted.
    ///
    /// # Errors
    /// No object store.
    pub async fn files(&self, id: &str, of: &str) -> JobResult<Vec<String>> {
        Ok(self
            .storage
            .objects
            .list(&format!("{}/{of}", folder(id)))
            .await?)
    }

    /// A file of a job, if it is there.
    ///
    /// # Errors
    /// No object store.
    pub async fn file(&self, id: &str, name: &str) -> JobResult<Option<Vec<u8>>> {
        Ok(self
            .storage
            .objects
            .get(&format!("{}/{name}", folder(id)))
            .await?)
    }

    /// Every step's report, one JSON object a line.
    ///
    /// # Errors
    /// No database.
    pub async fn metrics(&self, id: &str) -> JobResult<String> {
        let (mut lines, mut after) = (String::new(), 0);
        loop {
            let events = self.events(id, after).await?;
            let Some(last) = events.last() else {
                return Ok(lines);
            };
            after = last.seq;
            let steps = events.iter().filter(|event| event.kind == "step");
            lines.extend(steps.map(|event| format!("{}\n", event.data)));
        }
    }

    /// Mean time of the newest steps of any job; none before the first.
    ///
    /// # Errors
    /// No database.
    pub async fn secs_per_step(&self) -> JobResult<Option<f64>> {
        let select = "SELECT data FROM events WHERE kind = 'step' ORDER BY at DESC LIMIT $1";
        let rows = sqlx::query(select).bind(RECENT);
        let rows = rows.fetch_all(self.storage.database.pool()).await?;
        let mut secs = Vec::with_capacity(rows.len());
        for row in &rows {
            let data: String = row.try_get(0)?;
            let report: Value = serde_json::from_str(&data).unwrap_or_default();
            secs.extend(report["wall_secs"].as_f64());
        }
        let count = secs.len() as f64;
        Ok((count > 0.0).then(|| secs.iter().sum::<f64>() / count))
    }
}

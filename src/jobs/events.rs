//! What happened to a job, numbered from 1, written together with the state that it is about.
use serde_json::Value;
use sqlx::{Any, Row, Transaction};

use super::JobResult;
use crate::storage::Database;

/// Events of one read at most.
const MOST: i64 = 500;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct JobEvent {
    pub seq: i64,
    /// Milliseconds since 1970.
    pub at: i64,
    pub kind: String,
    pub data: Value,
}

/// What is to be told.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub kind: &'static str,
    pub data: Value,
}

impl News {
    pub fn new(kind: &'static str, data: Value) -> Self {
        Self { kind, data }
    }

    /// Adds the event with the number that the row's update gave.
    pub async fn write(
        &self,
        tx: &mut Transaction<'static, Any>,
        (job, seq, at): (&str, i64, i64),
    ) -> JobResult<()> {
        let insert = "INSERT INTO events (job, seq, at, kind, data) VALUES ($1, $2, $3, $4, $5)";
        let insert = sqlx::query(insert).bind(job).bind(seq).bind(at);
        let insert = insert.bind(self.kind).bind(self.data.to_string());
        insert.execute(&mut **tx).await?;
        Ok(())
    }
}

/// Events after the number `after`, in order; not necessarily all of them at once.
pub(super) async fn after(database: &Database, job: &str, after: i64) -> JobResult<Vec<JobEvent>> {
    let select =
        "SELECT seq, at, kind, data FROM events WHERE job = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    let select = sqlx::query(select).bind(job).bind(after).bind(MOST);
    let rows = select.fetch_all(database.pool()).await?;
    let events = rows.iter().map(|row| {
        let data: String = row.try_get(3)?;
        Ok(JobEvent {
            seq: row.try_get(0)?,
            at: row.try_get(1)?,
            kind: row.try_get(2)?,
            data: serde_json::from_str(&data).unwrap_or_default(),
        })
    });
    events.collect()
}

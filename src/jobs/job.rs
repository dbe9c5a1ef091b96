//! A job, as its row has it.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row, any::AnyRow};

use super::{JobResult, Plan, Status};
use crate::storage::StorageError;

/// One fine-tuning.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: String,
    pub status: Status,
    /// Milliseconds since 1970, as all times here; 0 is "not yet".
    pub created: i64,
    pub started: i64,
    pub finished: i64,
    pub plan: Plan,
    /// Claims so far: the fencing epoch.
    pub tries: i64,
    pub step: i64,
    pub steps: i64,
    pub checkpoint_step: i64,
    pub sample_step: i64,
    pub pause_wanted: bool,
    pub outcome: Option<Outcome>,
}

/// How a job ended, or why it is paused without being asked to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    Trained {
        adapter: String,
        promoted: bool,
        /// Why it was, or was not.
        reasons: Vec<String>,
        /// What the promotion gate measured.
        gate: Value,
    },
    Failed {
        code: FailureCode,
        message: String,
    },
}

/// What kind of failure ended a job, or paused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// Training could not begin or go on.
    Training,
    /// There was no room for its files: it is paused.
    StorageFull,
    /// Database or object store were away for too long: it is paused.
    StorageUnavailable,
    /// Its process died too often without a new checkpoint.
    DeadLetter,
    /// A defect of the program.
    Internal,
}

impl FailureCode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::StorageFull => "storage_full",
            Self::StorageUnavailable => "storage_unavailable",
            Self::DeadLetter => "dead_letter",
            Self::Internal => "internal",
        }
    }
}

/// Columns of [`Job`], in the order that [`Job::of_row`] reads.
pub(super) const COLUMNS: &str = "id, status, created, started, finished, plan, epoch, step, steps, checkpoint_step, sample_step, pause_wanted, outcome";

impl Job {
    pub(super) fn of_row(row: &AnyRow) -> JobResult<Self> {
        let id: String = row.try_get(0)?;
        let unreadable = |problem: String| StorageError::Unreadable {
            table: "job",
            key: id.clone(),
            problem,
        };
        let status: String = row.try_get(1)?;
        let plan: String = row.try_get(5)?;
        let outcome: String = row.try_get(12)?;
        Ok(Self {
            status: Status::of_name(&status)
                .ok_or_else(|| unreadable(format!("the state {status:?}")))?,
            created: row.try_get(2)?,
            started: row.try_get(3)?,
            finished: row.try_get(4)?,
            plan: serde_json::from_str(&plan).map_err(|error| unreadable(error.to_string()))?,
            tries: row.try_get(6)?,
            step: row.try_get(7)?,
            steps: row.try_get(8)?,
            checkpoint_step: row.try_get(9)?,
            sample_step: row.try_get(10)?,
            pause_wanted: row.try_get::<i64, _>(11)? != 0,
            outcome: match outcome.is_empty() {
                true => None,
                false => Some(
                    serde_json::from_str(&outcome)
                        .map_err(|error| unreadable(error.to_string()))?,
                ),
            },
            id,
        })
    }

    /// Where the job's files lie in the object store.
    pub fn folder(&self) -> String {
        folder(&self.id)
    }
}

pub(super) fn folder(id: &str) -> String {
    format!("jobs/{id}")
}

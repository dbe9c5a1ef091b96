//! Jobs as they are sent.
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    http::datasets::secs,
    jobs::{Job, Outcome, Prepared, Status},
};

/// One fine-tuning job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobAnswer {
    pub id: String,
    /// `finetune.job`.
    pub object: &'static str,
    pub status: Status,
    /// Seconds since 1970, as all times here.
    pub created: u64,
    pub started: Option<u64>,
    pub finished: Option<u64>,
    /// Id of the set.
    pub dataset: String,
    /// Id of the adapter that it goes on from.
    pub base_adapter: Option<String>,
    pub recipe: String,
    pub overrides: Map<String, Value>,
    /// Share of the rows that judge the adapter.
    pub holdout: f64,
    pub publish_as: Option<String>,
    pub progress: Progress,
    /// How often the job was begun or gone on with.
    pub tries: i64,
    /// Whether it will pause after its step.
    pub pause_wanted: bool,
    pub adapter: Option<MadeAdapter>,
    /// Whether the adapter passed the gate; `null` before the end.
    pub promoted: Option<bool>,
    /// Why it did or did not.
    pub reasons: Vec<String>,
    /// What the gate measured.
    pub gate: Option<Value>,
    pub error: Option<JobFailure>,
}

/// How far a job has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct Progress {
    pub step: i64,
    pub steps: i64,
    /// Step of the newest checkpoint.
    pub checkpoint_step: i64,
}

/// What a job made.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeAdapter {
    pub id: String,
}

/// Why a job failed, or was paused without being asked to.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobFailure {
    /// `training`, `dead_letter` or `internal`; of a paused job `storage_full` or `storage_unavailable`.
    pub code: &'static str,
    pub message: String,
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    /// `list`.
    pub object: &'static str,
    pub data: Vec<JobAnswer>,
    /// Whether another page may follow: ask with `after` and the last id.
    pub has_more: bool,
}

/// What would be run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub struct PlanAnswer {
    /// `finetune.plan`.
    pub object: &'static str,
    pub dataset: String,
    pub recipe: String,
    /// The compiled recipe, as a file.
    pub recipe_toml: String,
    pub steps: u64,
    pub rows_trained_on: u64,
    pub rows_held_out: u64,
    pub adapter_rank: usize,
    /// By the newest steps on this service; `null` before any.
    pub estimated_secs: Option<f64>,
}

impl PlanAnswer {
    pub fn new(prepared: Prepared, secs_per_step: Option<f64>) -> Self {
        let steps = prepared.recipe.steps;
        Self {
            object: "finetune.plan",
            dataset: prepared.dataset.id.clone(),
            recipe: prepared.plan.recipe.clone(),
            adapter_rank: prepared.rank(),
            recipe_toml: prepared.plan.recipe_toml,
            steps,
            rows_trained_on: prepared.rows.0,
            rows_held_out: prepared.rows.1,
            estimated_secs: secs_per_step.map(|secs| secs * steps as f64),
        }
    }
}

impl From<Job> for JobAnswer {
    fn from(job: Job) -> Self {
        let time = |ms: i64| (ms > 0).then(|| secs(ms));
        let mut answer = Self {
            object: "finetune.job",
            status: job.status,
            created: secs(job.created),
            started: time(job.started),
            finished: time(job.finished),
            dataset: job.plan.dataset,
            base_adapter: job.plan.base_adapter,
            recipe: job.plan.recipe,
            overrides: job.plan.overrides,
            holdout: job.plan.holdout,
            publish_as: job.plan.publish_as,
            progress: Progress {
                step: job.step,
                steps: job.steps,
                checkpoint_step: job.checkpoint_step,
            },
            tries: job.tries,
            pause_wanted: job.pause_wanted,
            adapter: None,
            promoted: None,
            reasons: Vec::new(),
            gate: None,
            error: None,
            id: job.id,
        };
        match job.outcome {
            None => {}
            Some(Outcome::Trained {
                adapter,
                promoted,
                reasons,
                gate,
            }) => {
                answer.adapter = Some(MadeAdapter { id: adapter });
                answer.promoted = Some(promoted);
                answer.reasons = reasons;
                answer.gate = Some(gate);
            }
            Some(Outcome::Failed { code, message }) => {
                let code = code.name();
                answer.error = Some(JobFailure { code, message });
            }
        }
        answer
    }
}

//! Fine-tuning as durable jobs: sets, queue, the runner beside the service, and the gate before an adapter is promoted.
//!
//! A job is executed at least once and published exactly once: a claim is a lease with an epoch, every write is conditional on
//! it, every step is told once, and the adapter, its alias and the job's end are one transaction.
mod base;
pub mod captions;
mod captures;
mod claim;
pub mod datasets;
mod error;
mod events;
mod failure_point;
mod job;
mod plan;
mod progress;
pub mod promotion;
mod queue;
mod recipes;
pub mod runner;
mod settings;
mod status;
mod stored;
mod submit;
mod sweep;

use std::sync::Arc;

use tokio::sync::watch;

use self::{captions::Captioner, datasets::Datasets};
pub use self::{
    captures::{CaptureSettings, Captured, CapturedEdit, Captures},
    claim::{BARREN_TRIES, Claim, Wishes},
    error::{JobError, JobResult},
    events::JobEvent,
    failure_point::FailurePoint,
    job::{FailureCode, Job, Outcome},
    plan::Plan,
    progress::Reached,
    queue::{Action, Idempotency, PAGE, Queue, Submitted},
    recipes::{FINETUNE_DEMO, JobRecipe, OVERRIDES, Recipes, WEIGHTS},
    settings::JobSettings,
    status::Status,
    submit::{FinetuneRequest, Prepared},
};
pub use crate::storage::{StorageError, Viewer};
use crate::{adapters::Registry, storage::Storage};

/// Everything about jobs that clients and workers reach; a cheap handle.
#[derive(Clone, Debug)]
pub struct Jobs {
    pub queue: Queue,
    pub datasets: Datasets,
    pub registry: Registry,
    pub captures: Captures,
    pub recipes: Recipes,
    pub settings: Arc<JobSettings>,
    storage: Storage,
    /// Whether the process is about to end.
    stopping: Arc<watch::Sender<bool>>,
}

impl Jobs {
    pub fn new(storage: Storage, settings: JobSettings) -> Self {
        Self {
            queue: Queue::new(storage.clone()),
            datasets: Datasets::new(storage.clone(), settings.set_limits.clone()),
            registry: Registry::new(storage.clone()),
            captures: Captures::new(storage.clone(), settings.capture),
            recipes: settings.recipes.clone(),
            settings: Arc::new(settings),
            storage,
            stopping: Arc::new(watch::Sender::new(false)),
        }
    }

    /// The same, with a model that is asked about the rows of new sets.
    #[must_use]
    pub fn with_captioner(mut self, captioner: Option<Captioner>) -> Self {
        self.datasets = self.datasets.with_captioner(captioner);
        self
    }

    /// Where everything about jobs is kept.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Ends what waits for news, and has whoever runs a job give it back.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Turns true when the process is about to end.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}

#[cfg(test)]
mod tests;

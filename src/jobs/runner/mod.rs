//! Works off the queue, one job at a time, beside the service or in a process of its own.
mod attempt;
mod lasting;
mod publish;
mod signals;
mod training;
mod watch;
mod workspace;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch as broadcast;
use uuid::Uuid;

use self::signals::Signals;
use super::{Claim, FailureCode, JobError, JobResult, Jobs, Outcome, Status};
use crate::{
    engine::{DeviceGate, Sharing},
    training::{recipe::Recipe, run::Models},
};

/// How often an empty queue is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// Pause after the queue could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// Loads the models that a recipe trains.
pub trait ModelSource: Send + Sync + 'static {
    /// Blocks.
    ///
    /// # Errors
    /// Whatever keeps them from being loaded; the message says what to do.
    fn load(&self, recipe: &Recipe) -> Result<Models, Box<dyn std::error::Error + Send + Sync>>;
}

/// Who works off the queue, and on what.
#[derive(Clone)]
pub struct Runner {
    pub jobs: Jobs,
    pub models: Arc<dyn ModelSource>,
    pub gate: DeviceGate,
    pub sharing: Sharing,
}

/// Why an attempt did not end the job.
#[derive(Debug)]
pub(super) enum Broke {
    /// Somebody asked for it: see [`Signals`].
    Asked,
    /// It can never succeed.
    Failed { code: FailureCode, message: String },
    /// Rows or files were not to be had for too long.
    Storage(JobError),
}

impl Runner {
    /// Works until `stop` turns true; a running job is then given back with a checkpoint.
    pub async fn run(self, mut stop: broadcast::Receiver<bool>) {
        let worker = format!("worker-{}", Uuid::now_v7().simple());
        while !*stop.borrow() {
            let pause = match self.next(&worker).await {
                Ok(Some(claim)) => {
                    self.work(&claim, &stop).await;
                    continue;
                }
                Ok(None) => LOOK,
                Err(error) => {
                    tracing::warn!(%error, "the queue cannot be read");
                    RETRY
                }
            };
            // an error means that nobody is left who could stop us: then nobody is left to work for
            let stopped = tokio::time::timeout(pause, stop.changed()).await;
            if matches!(stopped, Ok(Err(_))) {
                return;
            }
        }
    }

    async fn next(&self, worker: &str) -> JobResult<Option<Claim>> {
        let queue = &self.jobs.queue;
        queue.expire().await?;
        queue.claim(worker, self.jobs.settings.lease).await
    }

    /// One attempt at a job, and what its row says afterwards.
    async fn work(&self, claim: &Claim, stop: &broadcast::Receiver<bool>) {
        let id = &claim.job.id;
        tracing::info!(job = id, attempt = claim.epoch, "a job starts");
        let signals = Arc::new(Signals::default());
        let keeper = tokio::spawn(signals::keep(
            self.jobs.clone(),
            claim.clone(),
            signals.clone(),
            stop.clone(),
        ));
        let ended = self.attempt(claim, &signals).await;
        let ended = match ended {
            Ok(()) => Ok(Status::Succeeded),
            Err(broke) => self.give_back(claim, &signals, broke).await,
        };
        keeper.abort();
        match ended {
            Ok(status) => tracing::info!(job = id, %status, "a job ended or was given back"),
            Err(JobError::Fenced { .. }) => {
                tracing::warn!(job = id, "another worker has the job now");
            }
            Err(error) => tracing::error!(job = id, %error, "a job could not be given back"),
        }
    }

    async fn give_back(&self, claim: &Claim, signals: &Signals, broke: Broke) -> JobResult<Status> {
        let (to, outcome) = match broke {
            _ if signals.is_cancelled() => (Status::Cancelled, None),
            Broke::Failed { code, message } => {
                (Status::Failed, Some(Outcome::Failed { code, message }))
            }
            Broke::Storage(error @ JobError::Fenced { .. }) => return Err(error),
            Broke::Storage(error) => {
                tracing::error!(job = claim.job.id, %error, "a job is paused");
                (Status::Paused, Some(held_up(&error)))
            }
            Broke::Asked if signals.is_paused() => (Status::Paused, None),
            Broke::Asked => (Status::Queued, None),
        };
        let queue = &self.jobs.queue;
        let left = lasting::lasting(async || queue.leave(claim, to, outcome.as_ref()).await).await;
        match left {
            // a cancellation came in between
            Err(JobError::Fenced { .. }) if to != Status::Cancelled => {
                queue.leave(claim, Status::Cancelled, None).await?;
                Ok(Status::Cancelled)
            }
            left => left.map(|()| to),
        }
    }
}

/// Why a job is paused that nobody paused.
fn held_up(error: &JobError) -> Outcome {
    let full = matches!(error, JobError::Storage(error) if error.is_full());
    let (code, what) = match full {
        true => (
            FailureCode::StorageFull,
            "there is no room for the job's files; free space on the machine that runs it",
        ),
        false => (
            FailureCode::StorageUnavailable,
            "rows or files of the job were not to be had for too long; the log of the machine that runs it says why",
        ),
    };
    let message = format!("{what}, then resume it: it goes on from its last checkpoint");
    Outcome::Failed { code, message }
}

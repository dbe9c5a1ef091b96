//! What a running job is asked for, and the heartbeat that hears it.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::sync::watch as broadcast;

use crate::jobs::{Claim, JobError, Jobs};

/// How often a client's wishes are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Shared by whoever trains and whoever keeps the lease.
#[derive(Debug, Default)]
pub(super) struct Signals {
    cancelled: AtomicBool,
    paused: AtomicBool,
    stopping: AtomicBool,
    fenced: AtomicBool,
    /// Counts of requests since the claim.
    saves: AtomicI64,
    samples: AtomicI64,
}

impl Signals {
    /// Whether the step that runs is worth nothing any more.
    pub fn drops_step(&self) -> bool {
        self.is_cancelled() || self.fenced.load(SeqCst)
    }

    /// Whether the run is to end after this step.
    pub fn ends_run(&self) -> bool {
        self.drops_step() || self.is_paused() || self.stopping.load(SeqCst)
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(SeqCst)
    }

    pub fn is_paused(&self) -> bool {
        self.paused.load(SeqCst)
    }

    /// Somebody else has the job.
    pub fn fence(&self) {
        self.fenced.store(true, SeqCst);
    }

    /// Requests to save and to draw samples, counted.
    pub fn wanted(&self) -> (i64, i64) {
        (self.saves.load(SeqCst), self.samples.load(SeqCst))
    }
}

/// Keeps the lease until aborted, and hears what is asked.
pub(super) async fn keep(
    jobs: Jobs,
    claim: Claim,
    signals: Arc<Signals>,
    stop: broadcast::Receiver<bool>,
) {
    let lease = jobs.settings.lease;
    let mut before = None;
    loop {
        if *stop.borrow() || stop.has_changed().is_err() {
            signals.stopping.store(true, SeqCst);
        }
        match jobs.queue.keep(&claim, lease).await {
            Ok(wishes) => {
                let (saves, samples) = *before.get_or_insert((wishes.saves, wishes.samples));
                signals.saves.store(wishes.saves - saves, SeqCst);
                signals.samples.store(wishes.samples - samples, SeqCst);
                signals.paused.store(wishes.pause, SeqCst);
                if wishes.cancel {
                    signals.cancelled.store(true, SeqCst);
                }
            }
            Err(JobError::Fenced { .. }) => {
                signals.fence();
                return;
            }
            Err(error) => tracing::warn!(%error, "the lease could not be kept; trying again"),
        }
        tokio::time::sleep(LOOK.min(lease / 4)).await;
    }
}

//! Jobs without a service: the same storage and models, and a device that nobody else uses.
use std::{future::Future, time::Duration};

use super::{AppError, BUILT_IN, jobs};
use crate::{
    config::Config,
    engine::{DeviceGate, Sharing},
    jobs::{Jobs, runner::Runner},
};

/// Runs the jobs of a storage that it shares with the service.
pub struct Worker {
    jobs: Jobs,
    runner: Runner,
    grace: Duration,
}

impl Worker {
    /// # Errors
    /// The storage is not to be had, or a file of the judge's settings cannot be used.
    pub async fn build(config: Config) -> Result<Self, AppError> {
        let jobs = jobs::open(&config).await?;
        let runner = jobs::runner(&config, &jobs, (&DeviceGate::default(), Sharing::Turns))?;
        if config.model.reference.is_none() {
            tracing::warn!("{BUILT_IN}");
        }
        Ok(Self {
            jobs,
            runner,
            grace: config.server.shutdown_grace,
        })
    }

    /// What it works on.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Works until `stop` is done; a running job is then given back with a checkpoint, within the grace time.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) {
        let working = self.runner.run(self.jobs.stopping());
        tokio::pin!(working);
        tracing::info!("waiting for jobs");
        tokio::select! {
            () = &mut working => return,
            () = stop => self.jobs.stop(),
        }
        // a job that does not end in time goes on elsewhere from its last checkpoint, once its lease is over
        if tokio::time::timeout(self.grace, working).await.is_err() {
            tracing::warn!("the running job did not stop in time");
        }
    }
}

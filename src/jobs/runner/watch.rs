//! Hears of a run, tells the rows and the store, and gives the device away between passes.
use std::{fs, ops::ControlFlow, path::Path, sync::Arc, time::Instant};

use serde_json::json;
use tokio::runtime::Handle;

use super::{Signals, lasting::lasting};
use crate::{
    engine::{DeviceGate, Sharing, Turn},
    jobs::{Claim, FailurePoint, JobError, JobResult, Jobs, Reached},
    storage::StorageError,
    training::run::{Event, Observer},
};

/// Of one attempt.
pub(super) struct Watch {
    pub runtime: Handle,
    pub jobs: Jobs,
    pub claim: Claim,
    pub signals: Arc<Signals>,
    pub gate: DeviceGate,
    pub sharing: Sharing,
    pub turn: Option<Turn>,
    /// Steps done.
    pub step: u64,
    pub saved: Instant,
    /// Requests that were served.
    pub served: (i64, i64),
    /// What could not be told for too long.
    pub failure: Option<JobError>,
}

impl Watch {
    fn tell(&mut self, event: &Event) -> JobResult<()> {
        match event {
            Event::Resumed { step, .. } => {
                self.step = *step;
                Ok(())
            }
            Event::Step(report) => {
                self.step = report.step;
                let data = serde_json::to_value(report).unwrap_or_default();
                self.reached(Reached::Step, data)?;
                self.passes(FailurePoint::StepTold);
                Ok(())
            }
            Event::Checkpoint(path) => {
                self.upload(path, "checkpoints")?;
                self.passes(FailurePoint::CheckpointStored);
                self.reached(Reached::Checkpoint, json!({"step": self.step}))?;
                self.passes(FailurePoint::CheckpointTold);
                self.forget_old_checkpoints(path)
            }
            Event::Samples(path) => {
                let name = self.upload(path, "samples")?;
                self.passes(FailurePoint::SamplesStored);
                self.reached(Reached::Samples, json!({"step": self.step, "name": name}))
            }
        }
    }

    fn passes(&self, point: FailurePoint) {
        point.reach(&self.claim.job.id);
    }

    fn reached(&self, what: Reached, data: serde_json::Value) -> JobResult<()> {
        let queue = &self.jobs.queue;
        let step = (what, self.step);
        let told = lasting(async || queue.reached(&self.claim, step, data.clone()).await);
        self.runtime.block_on(told)
    }

    fn upload(&self, path: &Path, folder: &str) -> JobResult<String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let key = format!("{}/{folder}/{name}", self.claim.job.folder());
        let bytes = fs::read(path).map_err(|source| StorageError::Directory {
            path: path.to_owned(),
            source,
        })?;
        let (objects, queue) = (&self.jobs.storage.objects, &self.jobs.queue);
        let put = lasting(async || {
            // whoever slept through its lease writes no file either
            queue.held(&self.claim).await?;
            Ok(objects.put(&key, bytes.clone()).await?)
        });
        self.runtime.block_on(put)?;
        Ok(name.into_owned())
    }

    /// Only once the rows name the newest.
    fn forget_old_checkpoints(&self, newest: &Path) -> JobResult<()> {
        let newest = newest.file_name().unwrap_or_default().to_string_lossy();
        let folder = format!("{}/checkpoints", self.claim.job.folder());
        let objects = &self.jobs.storage.objects;
        let forget = lasting(async || {
            for name in objects.list(&folder).await? {
                if *name < *newest {
                    objects.delete(&format!("{folder}/{name}")).await?;
                }
            }
            Ok(())
        });
        self.runtime.block_on(forget)
    }

    /// Waits for the device.
    pub fn next_turn(&mut self) -> ControlFlow<()> {
        self.turn = None;
        let signals = &self.signals;
        self.turn = self.gate.training(self.sharing, &|| signals.drops_step());
        match self.turn {
            Some(_) => ControlFlow::Continue(()),
            None => ControlFlow::Break(()),
        }
    }
}

impl Observer for Watch {
    fn hear(&mut self, event: &Event) {
        // the device is not kept for what the disk does
        self.turn = None;
        match self.tell(event) {
            Ok(()) => {}
            Err(JobError::Fenced { .. }) => self.signals.fence(),
            Err(error) => self.failure = Some(error),
        }
    }

    fn go_on(&mut self) -> ControlFlow<()> {
        match self.failure.is_some() || self.signals.ends_run() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn turn(&mut self) -> ControlFlow<()> {
        self.next_turn()
    }

    fn wants_checkpoint(&mut self) -> bool {
        let due = self.saved.elapsed() >= self.jobs.settings.checkpoint_interval;
        let (saves, _) = self.signals.wanted();
        if !due && saves <= self.served.0 {
            return false;
        }
        self.saved = Instant::now();
        self.served.0 = saves;
        true
    }

    fn wants_samples(&mut self) -> bool {
        let (_, samples) = self.signals.wanted();
        let wanted = samples > self.served.1;
        self.served.1 = samples;
        wanted
    }
}

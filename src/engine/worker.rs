//! The one thread that owns the models.
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use super::{
    EditError, EngineError, Models, Permit, Readiness, Score, ScoreInput,
    admission::Admission,
    work::{self, EditWork, JudgedEdit, Left},
};

/// One admitted request. The permit goes with it, so the place is free when the work is done or dropped.
#[derive(Debug)]
pub(super) struct Job<I, O> {
    pub input: I,
    pub reply: oneshot::Sender<Result<Done<O>, EngineError>>,
    pub permit: Permit,
    pub queued: Instant,
}

/// What the device thread is asked for.
#[derive(Debug)]
pub(super) enum Command {
    Edit(Box<Job<EditWork, JudgedEdit>>),
    Score(Job<Vec<ScoreInput>, Vec<Score>>),
}

/// Work that the device has finished.
#[derive(Debug)]
pub(super) struct Done<O> {
    pub output: O,
    /// Wait for the device.
    pub queued: Duration,
    /// Time on the device.
    pub took: Duration,
}

/// Everything the device thread needs but the models themselves, which it makes.
pub(super) struct DeviceThread {
    pub commands: mpsc::Receiver<Command>,
    pub readiness: watch::Sender<Readiness>,
    pub admission: Admission,
}

impl DeviceThread {
    /// Loads, warms up, then serves until every handle of the engine is gone.
    pub fn run<M, L>(self, load: impl FnOnce() -> Result<M, L>)
    where
        M: Models,
        L: std::error::Error + Send + Sync + 'static,
    {
        let mut models = match self.start(load) {
            Ok(models) => models,
            Err(cause) => {
                self.readiness.send_replace(Readiness::Failed { cause });
                return;
            }
        };
        let profile = Arc::new(models.profile());
        self.readiness.send_replace(Readiness::Ready(profile));
        while let Ok(command) = self.commands.recv() {
            match command {
                Command::Edit(job) => self.serve(*job, |work, left| work.run(&mut models, left)),
                Command::Score(job) => self.serve(job, |pairs, left| {
                    work::scores(&mut models, pairs.iter(), left)
                }),
            }
        }
    }

    fn start<M, L>(
        &self,
        load: impl FnOnce() -> Result<M, L>,
    ) -> Result<M, Arc<dyn std::error::Error + Send + Sync>>
    where
        M: Models,
        L: std::error::Error + Send + Sync + 'static,
    {
        let loaded = catch_unwind(AssertUnwindSafe(load));
        let loaded = loaded.map_err(|payload| EngineError::panicked(&*payload));
        let mut models = match loaded {
            Ok(Ok(models)) => models,
            Ok(Err(cause)) => return Err(Arc::new(cause)),
            Err(panicked) => return Err(Arc::new(panicked)),
        };
        self.readiness.send_replace(Readiness::Warming);
        let warmed = work::warm_up(&models.profile())
            .and_then(|work| self.timed(|| work.run(&mut models, &|| false)));
        warmed.map(|_| models).map_err(|error| Arc::new(error) as _)
    }

    fn serve<I, O>(&self, job: Job<I, O>, work: impl FnOnce(&I, &Left) -> Result<O, EngineError>) {
        let Job {
            input,
            reply,
            permit,
            queued,
        } = job;
        if reply.is_closed() {
            tracing::debug!("skipped a request whose client left");
            return;
        }
        let waited = queued.elapsed();
        let result = self.timed(|| work(&input, &|| reply.is_closed()));
        drop(permit);
        if let Err(EngineError::Edit(EditError::Cancelled { .. }) | EngineError::ClientLeft) =
            &result
        {
            tracing::debug!("cancelled a request whose client left");
        }
        // A client that left in the meantime is no failure.
        let _ = reply.send(result.map(|(output, took)| Done {
            output,
            queued: waited,
            took,
        }));
    }

    /// A panic becomes an error: the models hold no state that a request changes, so the thread lives on.
    fn timed<O>(
        &self,
        work: impl FnOnce() -> Result<O, EngineError>,
    ) -> Result<(O, Duration), EngineError> {
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(work));
        let output = result.map_err(|payload| EngineError::panicked(&*payload))??;
        let took = start.elapsed();
        self.admission.record(took);
        Ok((output, took))
    }
}

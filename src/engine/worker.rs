//! The one thread that owns the models.
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use super::{
    DeviceGate, EditError, EngineError, Models, Permit, Readiness,
    admission::Admission,
    batch::{Batching, EditJob, ScoreJob, Waiting},
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
    Score(ScoreJob),
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
    pub batching: Batching,
    pub gate: DeviceGate,
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
        let mut waiting = Waiting::new(self.commands);
        let served = Served {
            admission: self.admission,
        };
        while let Some(command) = waiting.next() {
            match command {
                Command::Edit(job) => {
                    let admitted = || served.admission.admitted();
                    let jobs = waiting.gather(job, self.batching, admitted);
                    let _turn = self.gate.client();
                    served.edits(&mut models, jobs);
                }
                Command::Score(job) => {
                    let admitted = || served.admission.admitted();
                    let jobs = waiting.gather(job, self.batching, admitted);
                    let _turn = self.gate.client();
                    served.scores(&mut models, jobs, self.batching.max_pictures);
                }
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
        let loaded = unwinding(|| Ok(load()));
        let mut models = match loaded {
            Ok(Ok(models)) => models,
            Ok(Err(cause)) => return Err(Arc::new(cause)),
            Err(panicked) => return Err(Arc::new(panicked)),
        };
        self.readiness.send_replace(Readiness::Warming);
        let start = Instant::now();
        let warmed = work::warm_up(&models.profile())
            .and_then(|work| unwinding(|| work::rehearse(&mut models, &work)));
        self.admission.record(start.elapsed());
        warmed
            .map(|()| models)
            .map_err(|error| Arc::new(error) as _)
    }
}

/// Works off what waits, and answers it.
struct Served {
    admission: Admission,
}

impl Served {
    fn edits(&self, models: &mut impl Models, jobs: Vec<EditJob>) {
        let mut going = Vec::new();
        for job in jobs {
            if job.left() {
                continue;
            }
            let waited = job.queued.elapsed();
            match unwinding(|| job.input.check(models)) {
                Ok(()) => going.push((job, waited)),
                Err(error) => job.answer(Err(error)),
            }
        }
        let start = Instant::now();
        let outputs = unwinding(|| {
            let lefts: Vec<_> = going
                .iter()
                .map(|(job, _)| || job.reply.is_closed())
                .collect();
            let works = going.iter().zip(&lefts);
            let works = works.map(|((job, _), left)| (&job.input, left as &Left));
            Ok(work::edits(models, works))
        });
        let outputs = match outputs {
            Ok(outputs) => outputs,
            Err(error) => return self.panicked(models, going, error),
        };
        let each = start.elapsed() / going.len().max(1) as u32;
        let mut edited: Vec<_> = going.into_iter().zip(outputs).collect();
        // Who waits for no judge waits for no one else's either.
        edited.sort_by_key(|((job, _), _)| job.input.judge.is_some());
        for ((job, waited), output) in edited {
            let judging = Instant::now();
            let left = || job.reply.is_closed();
            let judged = output.map_err(EngineError::from);
            let judged =
                judged.and_then(|output| unwinding(|| job.input.judged(models, output, &left)));
            let took = each + judging.elapsed();
            self.admission.record(took);
            job.answer(judged.map(|output| Done {
                output,
                queued: waited,
                took,
            }));
        }
    }

    /// One of them is to blame, and only that one is to suffer.
    fn panicked(
        &self,
        models: &mut impl Models,
        mut jobs: Vec<(EditJob, Duration)>,
        error: EngineError,
    ) {
        match jobs.pop() {
            Some((only, _)) if jobs.is_empty() => only.answer(Err(error)),
            last => {
                for (job, _) in jobs.into_iter().chain(last) {
                    self.edits(models, vec![job]);
                }
            }
        }
    }

    fn scores(&self, models: &mut impl Models, mut jobs: Vec<ScoreJob>, together: usize) {
        jobs.retain(|job| !job.left());
        let waited: Vec<_> = jobs.iter().map(|job| job.queued.elapsed()).collect();
        let start = Instant::now();
        let scored = unwinding(|| {
            let lefts: Vec<_> = jobs.iter().map(|job| || job.reply.is_closed()).collect();
            let wanted = jobs.iter().zip(&lefts);
            let wanted = wanted.map(|(job, left)| (&job.input[..], left as &Left));
            Ok(work::scores(models, &wanted.collect::<Vec<_>>(), together))
        });
        let scored = match scored {
            Ok(scored) => scored,
            // one of them is to blame, and only that one is to suffer
            Err(error) => match jobs.pop() {
                Some(only) if jobs.is_empty() => return only.answer(Err(error)),
                last => {
                    let each = jobs.into_iter().chain(last);
                    return each.for_each(|job| self.scores(models, vec![job], together));
                }
            },
        };
        let took = start.elapsed() / jobs.len().max(1) as u32;
        for ((job, queued), scored) in jobs.into_iter().zip(waited).zip(scored) {
            self.admission.record(took);
            job.answer(scored.map(|output| Done {
                output,
                queued,
                took,
            }));
        }
    }
}

impl<I, O> Job<I, O> {
    /// Whether nobody waits for it any more.
    fn left(&self) -> bool {
        let left = self.reply.is_closed();
        if left {
            tracing::debug!("skipped a request whose client left");
        }
        left
    }

    fn answer(self, result: Result<Done<O>, EngineError>) {
        if let Err(EngineError::Edit(EditError::Cancelled { .. }) | EngineError::ClientLeft) =
            &result
        {
            tracing::debug!("cancelled a request whose client left");
        }
        // The place is free before the client hears of it.
        drop(self.permit);
        // A client that left in the meantime is no failure.
        let _ = self.reply.send(result);
    }
}

/// A panic becomes an error: the models hold no state that a request leaves half changed, so the thread lives on.
fn unwinding<O>(work: impl FnOnce() -> Result<O, EngineError>) -> Result<O, EngineError> {
    let result = catch_unwind(AssertUnwindSafe(work));
    result.map_err(|payload| EngineError::panicked(&*payload))?
}

//! Serves edits and scores on one device: admission, the device thread, readiness, bounded work beside it.
mod adapters;
mod admission;
mod batch;
mod error;
mod gate;
mod meter;
mod models;
mod readiness;
mod request;
mod work;
mod worker;
mod workers;

use std::{
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

pub use crate::models::vlm::PromptError;
pub use crate::pipelines::{
    edit::{EditTask, Shared},
    error::{EditError, Stage},
    identity::{BundleIdentity, DeviceClass, RoleDtypes},
    image::{
        ImageError, ImageLimits, ImageWarning, Mask, OutputFormat, OutputSize, RgbImage,
        SourceImage,
    },
    judge::{JudgeError, JudgeIdentity, Looked, Score, ScoreInput, ScoreWarning, Verdict},
    noise::{Grid, NoiseDraw},
    progress::{Observer, Previews, Progress, StageTimings},
    questions::{Answer, EditDescription, EditType, Question, QuestionKind, Shows},
    request::{
        EditInput, EditOutput, EditWarning, EditedImage, NoiseSource, PreprocessRule, Reuse, Tokens,
    },
    sampler::Sampler,
    sigmas::{STEPS, Sigmas, SigmasError},
};
pub use adapters::{AdapterBase, AppliedAdapter};
pub use admission::Permit;
pub use error::EngineError;
pub use gate::{DeviceGate, Sharing, Turn, Waits};
pub use models::{JudgeProfile, Models, Profile, Resident};
pub use readiness::Readiness;
pub use request::{Candidate, EditRequest, Edited, EncodedImage, Judging, Scored, Watch};

use crate::{
    adapters::{AdapterSource, Viewer},
    config::{self, Config},
    pipelines::image,
    telemetry::metrics::collect,
};
use adapters::Adapters;
use admission::{Admission, Deadline};
use batch::Batching;
use request::Answering;
use work::EditWork;
use worker::{Command, Done, Job};
use workers::Workers;

/// Stack of the device thread: candle drops and walks its graphs by recursion.
const DEVICE_STACK_BYTES: usize = 64 << 20;

/// What bounds the engine.
#[derive(Clone, Debug)]
pub struct EngineLimits {
    /// Requests that may wait for the device.
    pub queue_depth: usize,
    /// Images decoded or encoded at the same time, at least 1.
    pub decode_workers: usize,
    /// From admission to answer.
    pub edit_timeout: Duration,
    pub images: ImageLimits,
    /// Pictures that are denoised together at most, at least 1.
    pub max_batch: usize,
    /// How long an edit waits for others that may share its batch.
    pub batch_wait: Duration,
    /// Memory for all loaded adapters.
    pub adapter_bytes: usize,
}

impl From<&config::Images> for ImageLimits {
    fn from(images: &config::Images) -> Self {
        Self {
            max_pixels: images.max_pixels,
            max_side_px: images.max_side_px,
            max_bytes: images.max_bytes,
        }
    }
}

impl From<&Config> for EngineLimits {
    fn from(config: &Config) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            queue_depth: config.engine.queue_depth,
            decode_workers: match config.images.decode_workers {
                0 => cores(),
                workers => workers,
            },
            edit_timeout: config.server.edit_timeout,
            images: (&config.images).into(),
            max_batch: config.engine.max_batch,
            batch_wait: config.engine.batch_wait,
            adapter_bytes: config.adapters.max_resident_bytes,
        }
    }
}

/// Handle of the engine; the device thread ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Engine {
    admission: Admission,
    commands: mpsc::Sender<Command>,
    readiness: watch::Receiver<Readiness>,
    workers: Workers,
    adapters: Arc<Adapters>,
    limits: Arc<EngineLimits>,
    gate: DeviceGate,
}

impl Engine {
    /// Starts the device thread, which loads the models and warms them up; edits may name the adapters of `adapters`.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start<M, L>(
        limits: EngineLimits,
        adapters: Arc<dyn AdapterSource>,
        load: impl FnOnce() -> Result<M, L> + Send + 'static,
    ) -> std::io::Result<Self>
    where
        M: Models,
        L: std::error::Error + Send + Sync + 'static,
    {
        // What is counted before is lost.
        collect();
        let (commands, received) = mpsc::channel();
        let (announce, readiness) = watch::channel(Readiness::Loading);
        let admission = Admission::new(limits.queue_depth, limits.edit_timeout);
        let gate = DeviceGate::default();
        let device = worker::DeviceThread {
            commands: received,
            readiness: announce,
            admission: admission.clone(),
            batching: Batching {
                max_pictures: limits.max_batch,
                wait: limits.batch_wait,
            },
            gate: gate.clone(),
        };
        std::thread::Builder::new()
            .name("device".into())
            .stack_size(DEVICE_STACK_BYTES)
            .spawn(move || device.run(load))?;
        Ok(Self {
            admission,
            commands,
            readiness,
            workers: Workers::new(limits.decode_workers),
            adapters: Arc::new(Adapters::new(adapters, limits.adapter_bytes)),
            limits: Arc::new(limits),
            gate,
        })
    }

    /// Who has the device when: for what runs beside the service.
    pub fn gate(&self) -> &DeviceGate {
        &self.gate
    }

    /// A place in the queue; taken before any work for a request.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`].
    pub fn admit(&self) -> Result<Permit, EngineError> {
        self.admission.admit()
    }

    /// What is loaded.
    ///
    /// # Errors
    /// [`EngineError::NotReady`].
    pub fn profile(&self) -> Result<Arc<Profile>, EngineError> {
        match self.readiness() {
            Readiness::Ready(profile) => Ok(profile),
            state => Err(EngineError::NotReady { state }),
        }
    }

    /// How far the start has come.
    pub fn readiness(&self) -> Readiness {
        self.readiness.borrow().clone()
    }

    /// Waits until the models are ready, or have failed to load.
    pub async fn started(&self) -> Readiness {
        let mut readiness = self.readiness.clone();
        let settled =
            |state: &Readiness| matches!(state, Readiness::Ready(_) | Readiness::Failed { .. });
        match readiness.wait_for(settled).await {
            Ok(state) => state.clone(),
            // The device thread keeps the sender until it ends, and it settles before it ends.
            Err(_) => self.readiness(),
        }
    }

    /// Runs work that would hold up the async threads; at most `decode_workers` at a time.
    ///
    /// # Errors
    /// [`EngineError::Panicked`].
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        self.workers.run(work).await
    }

    /// Decodes an uploaded image under the limits.
    ///
    /// # Errors
    /// [`EngineError::Image`], [`EngineError::DeadlineExceeded`].
    pub async fn read_image(
        &self,
        permit: &Permit,
        bytes: Vec<u8>,
    ) -> Result<SourceImage, EngineError> {
        let limits = self.limits.clone();
        let decoding = self.blocking(move || image::decode(&bytes, &limits.images));
        Ok(self.before(permit.deadline(), decoding).await??)
    }

    /// Decodes a mask under the limits of images.
    ///
    /// # Errors
    /// [`EngineError::Image`], [`EngineError::DeadlineExceeded`].
    pub async fn read_mask(&self, permit: &Permit, bytes: Vec<u8>) -> Result<Mask, EngineError> {
        let limits = self.limits.clone();
        let decoding = self.blocking(move || Mask::decode(&bytes, &limits.images));
        Ok(self.before(permit.deadline(), decoding).await??)
    }

    /// The bytes of a picture that is on its way to becoming an answer.
    ///
    /// # Errors
    /// [`EngineError::Image`].
    pub async fn encode(
        &self,
        picture: RgbImage,
        format: OutputFormat,
    ) -> Result<Vec<u8>, EngineError> {
        Ok(self
            .blocking(move || image::encode(&picture, &format))
            .await??)
    }

    /// The adapter that `name` stands for now for `viewer`, loaded; `scale` 1 is as strong as it was trained.
    ///
    /// # Errors
    /// [`EngineError::Adapter`], [`EngineError::AdapterTooLarge`], [`EngineError::DeadlineExceeded`], or that of a model that
    /// is not ready.
    pub async fn adapter(
        &self,
        permit: &Permit,
        viewer: Viewer,
        name: String,
        scale: f64,
    ) -> Result<AppliedAdapter, EngineError> {
        let (adapters, base) = (self.adapters.clone(), self.profile()?.adapter_base.clone());
        let loading = self.blocking(move || adapters.get(&viewer, &name, scale, &base));
        self.before(permit.deadline(), loading).await?
    }

    /// Runs one edit, judges its images where that is asked for, and encodes them. Dropping the future cancels it: before it
    /// costs anything while it waits, between two steps or two images while it runs.
    ///
    /// # Errors
    /// Every variant but `Overloaded`.
    pub async fn edit(&self, permit: Permit, request: EditRequest) -> Result<Edited, EngineError> {
        let profile = self.profile()?;
        let judge = request.judging.edit().cloned();
        if judge.is_some() {
            profile.judge()?;
        }
        let answering = Answering {
            seeds: request.seeds.clone(),
            output: request.output,
            judging: request.judging.clone(),
            masked: request
                .mask
                .clone()
                .map(|mask| (mask, request.image.rgb.clone())),
        };
        let deadline = permit.deadline();
        let work = EditWork {
            watch: request.watch.clone(),
            mask: request.mask.clone(),
            adapter: request.adapter.clone(),
            input: request.into(),
            judge,
        };
        let edited = self.before(deadline, async {
            let done = self
                .done(permit, work, |job| Command::Edit(Box::new(job)))
                .await?;
            Ok(self.blocking(move || answering.encode(done)).await??)
        });
        let edited = edited.await;
        meter::edited(&edited);
        edited
    }

    /// Scores pairs of images, in order. Dropping the future cancels it: before it costs anything while it waits, between two
    /// passes while it runs.
    ///
    /// # Errors
    /// [`EngineError::NoJudge`], [`EngineError::Judge`] with the first pair that cannot be scored, or the engine's own.
    pub async fn score(
        &self,
        permit: Permit,
        pairs: Vec<ScoreInput>,
    ) -> Result<Scored, EngineError> {
        self.profile()?.judge()?;
        let deadline = permit.deadline();
        let scoring = self.done(permit, pairs, Command::Score);
        let done = self.before(deadline, scoring).await;
        meter::scored(&done);
        let done = done?;
        Ok(Scored {
            scores: done.output,
            queued: done.queued,
            judging: done.took,
        })
    }

    async fn before<T>(
        &self,
        Deadline { at, limit }: Deadline,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let done = tokio::time::timeout_at(at.into(), work).await;
        done.map_err(|_| EngineError::DeadlineExceeded { limit })?
    }

    /// Sends work to the device thread and waits for it.
    async fn done<I, O>(
        &self,
        permit: Permit,
        input: I,
        command: fn(Job<I, O>) -> Command,
    ) -> Result<Done<O>, EngineError> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            input,
            reply,
            permit,
            queued: Instant::now(),
        };
        self.commands
            .send(command(job))
            .map_err(|_| EngineError::Stopped)?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }
}

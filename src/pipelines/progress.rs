//! What a running edit tells, and how long its stages took.
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use ::image::RgbImage;

use super::error::{EditError, Stage};

/// One sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A stage begins.
    Began(Stage),
    /// A denoising step is done, of all steps of all batches of the request.
    Step { done: usize, of: usize },
    /// What a picture would be if this step, counted from 0, were the last: small.
    Preview {
        picture: usize,
        step: usize,
        image: RgbImage,
    },
}

/// Whether an edit shows what it is getting at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Previews {
    #[default]
    Off,
    /// After every step but the last.
    EachStep,
}

/// Hears of progress; breaking off stops the edit at the next step.
pub type Observer<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// Wall time of each stage, in the order of the lifecycle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageTimings(BTreeMap<Stage, Duration>);

impl StageTimings {
    /// Time of one stage; zero if it did not run.
    pub fn of(&self, stage: Stage) -> Duration {
        self.0.get(&stage).copied().unwrap_or_default()
    }

    /// Stages in order.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> + '_ {
        self.0.iter().map(|(stage, time)| (*stage, *time))
    }

    /// All stages together.
    pub fn total(&self) -> Duration {
        self.0.values().sum()
    }
}

/// Announces stages to the observer and times them.
pub(super) struct Lifecycle<'a> {
    observer: Box<Observer<'a>>,
    timings: StageTimings,
}

impl<'a> Lifecycle<'a> {
    pub fn new(observer: Box<Observer<'a>>) -> Self {
        Self {
            observer,
            timings: StageTimings::default(),
        }
    }

    /// Runs one stage, unless the observer breaks off.
    pub fn stage<T>(
        &mut self,
        stage: Stage,
        body: impl FnOnce() -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        self.begin(stage)?;
        let start = Instant::now();
        let result = body();
        self.spend(stage, start.elapsed());
        result
    }

    /// Announces a stage, unless the observer breaks off.
    pub fn begin(&mut self, stage: Stage) -> Result<(), EditError> {
        match self.tell(Progress::Began(stage)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(EditError::Cancelled { steps: 0 }),
        }
    }

    pub fn tell(&mut self, progress: Progress) -> ControlFlow<()> {
        (self.observer)(progress)
    }

    /// Counts time to a stage.
    pub fn spend(&mut self, stage: Stage, time: Duration) {
        *self.timings.0.entry(stage).or_default() += time;
    }

    pub fn into_timings(self) -> StageTimings {
        self.timings
    }
}

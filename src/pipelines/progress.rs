//! What a running edit tells, and how long its stages took.
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use super::error::{EditError, Stage};

/// One sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A stage begins.
    Began(Stage),
    /// A denoising step is done, of all steps of all batches of the request.
    Step { done: usize, of: usize },
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
pub(super) struct Lifecycle<'a, 'o> {
    pub observer: &'a mut Observer<'o>,
    timings: StageTimings,
}

impl<'a, 'o> Lifecycle<'a, 'o> {
    pub fn new(observer: &'a mut Observer<'o>) -> Self {
        Self {
            observer,
            timings: StageTimings::default(),
        }
    }

    /// Runs one stage, unless the observer breaks off.
    pub fn stage<T>(
        &mut self,
        stage: Stage,
        body: impl FnOnce(&mut Observer<'o>) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        if (self.observer)(Progress::Began(stage)).is_break() {
            return Err(EditError::Cancelled { steps: 0 });
        }
        let start = Instant::now();
        let result = body(self.observer);
        *self.timings.0.entry(stage).or_default() += start.elapsed();
        result
    }

    pub fn into_timings(self) -> StageTimings {
        self.timings
    }
}

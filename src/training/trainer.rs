//! One optimiser step after the other, of whatever stage.
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use candle_core::{Device, Tensor};
use serde::Serialize;

use super::{
    checkpoint::State,
    draws::Draws,
    ema::Ema,
    error::TrainingResult,
    guard::Skipped,
    optimiser::{Optimiser, Parameters, clip_global_norm},
    recipe::OptimiserChoice,
    stages::{Outcome, Stage, Step},
};

/// What one step did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepReport {
    /// Counted from 1.
    pub step: u64,
    pub loss: f64,
    /// Before clipping.
    pub grad_norm: f64,
    pub learning_rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skipped>,
    pub wall_secs: f64,
    pub samples_per_sec: f64,
    /// Questions that the judge has answered since the run began, each about one edit.
    pub judge_calls: u64,
    /// Mean of every loss term, unweighted, and of the probability of the right answer to each question.
    #[serde(flatten)]
    pub terms: BTreeMap<&'static str, f64>,
}

/// How a stage is gone through.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    pub steps: u64,
    pub seed: u64,
    pub optimiser: OptimiserChoice,
}

/// A run between two steps.
pub struct Trainer<'a> {
    stage: Box<dyn Stage + 'a>,
    parameters: Parameters,
    optimiser: Optimiser,
    ema: Option<Ema>,
    course: Course,
    /// Steps done.
    done: u64,
    skipped_in_a_row: u32,
    judge_calls: u64,
}

const PREFIX: &str = "trained";
const EMA: &str = "ema.";
const DONE: &str = "step";
const SKIPPED: &str = "skipped_in_a_row";
const JUDGE_CALLS: &str = "judge_calls";

impl<'a> Trainer<'a> {
    /// # Errors
    /// The device has no room for the averages.
    pub fn new(course: Course, stage: Box<dyn Stage + 'a>) -> TrainingResult<Self> {
        let settings = &course.optimiser;
        let parameters = stage.parameters().clone();
        let ema = settings.ema_decay.map(|decay| Ema::new(decay, &parameters));
        Ok(Self {
            stage,
            optimiser: Optimiser::new(settings.adam, settings.hidden.clone()),
            ema: ema.transpose()?,
            parameters,
            course,
            done: 0,
            skipped_in_a_row: 0,
            judge_calls: 0,
        })
    }

    /// Steps done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Whether every step is done.
    pub fn is_through(&self) -> bool {
        self.done >= self.course.steps
    }

    /// Whether too many steps in a row were skipped.
    pub fn gives_up(&self) -> bool {
        self.skipped_in_a_row >= self.course.optimiser.guard.give_up_after
    }

    /// One step; `go_on` is asked between its passes.
    ///
    /// # Errors
    /// See [`super::error::TrainingError`]; the parameters have not moved then.
    pub fn step(
        &mut self,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> TrainingResult<StepReport> {
        let start = Instant::now();
        let learning_rate = self
            .course
            .optimiser
            .learning_rate
            .at(self.done, self.course.steps);
        let mut step = Step {
            index: self.done,
            draws: Draws::new(self.course.seed, self.done),
            go_on,
        };
        // 1 gradients   rows -> losses -> gradients
        let Outcome {
            mut gradients,
            loss,
            terms,
        } = self.stage.step(&mut step)?;
        // 2 guard       spikes and what is no number are skipped, the rest is clipped
        let grad_norm = clip_global_norm(&mut gradients, self.course.optimiser.clip_norm)?;
        let skipped = self.course.optimiser.guard.judge(loss, grad_norm);
        // 3 update      parameters and their average
        if skipped.is_none() {
            self.optimiser
                .update(&self.parameters, &gradients, learning_rate)?;
            if let Some(ema) = &mut self.ema {
                ema.update(&self.parameters)?;
            }
        }
        self.done += 1;
        self.judge_calls += terms.judge_calls();
        self.skipped_in_a_row = match skipped {
            Some(_) => self.skipped_in_a_row + 1,
            None => 0,
        };
        let wall = start.elapsed();
        Ok(StepReport {
            step: self.done,
            loss,
            grad_norm,
            learning_rate,
            skipped,
            wall_secs: wall.as_secs_f64(),
            samples_per_sec: per_second(self.stage.rows_per_step(), wall),
            judge_calls: self.judge_calls,
            terms: terms.means(),
        })
    }

    /// Everything that the next step depends on, but for what the recipe says.
    pub fn state(&self) -> State {
        let mut state = State::default();
        state.put_parameters(PREFIX, &self.parameters);
        state.put_optimiser(PREFIX, &self.optimiser);
        if let Some(ema) = &self.ema {
            let averages = ema.averages().iter();
            state
                .tensors
                .extend(averages.map(|(name, average)| (format!("{EMA}{name}"), average.clone())));
        }
        self.stage.save(&mut state);
        let numbers = [
            (DONE, self.done),
            (SKIPPED, self.skipped_in_a_row.into()),
            (JUDGE_CALLS, self.judge_calls),
        ];
        for (name, number) in numbers {
            state.facts.insert(name.into(), number.to_string());
        }
        state
    }

    /// Goes on from `state`.
    ///
    /// # Errors
    /// It is of another kind of run.
    pub fn restore(&mut self, state: &State) -> TrainingResult<()> {
        let state = &state.to_device(&self.device())?;
        state.restore_parameters(PREFIX, &self.parameters)?;
        self.optimiser = state.optimiser(PREFIX, &self.optimiser)?;
        if let Some(decay) = self.course.optimiser.ema_decay {
            let kept = state.tensors.iter().filter_map(|(name, average)| {
                Some((name.strip_prefix(EMA)?.to_owned(), average.clone()))
            });
            self.ema = Some(Ema::resume(decay, kept.collect()));
        }
        self.stage.restore(state)?;
        self.done = state.number(DONE)?;
        self.skipped_in_a_row = state.number(SKIPPED)?.try_into().unwrap_or(u32::MAX);
        self.judge_calls = state.number(JUDGE_CALLS)?;
        Ok(())
    }

    fn device(&self) -> Device {
        let first = self.parameters.values().next();
        first.map_or(Device::Cpu, |var| var.device().clone())
    }

    /// What the run made: the average where there is one, else the parameters.
    pub fn result(&self) -> BTreeMap<String, Tensor> {
        match &self.ema {
            Some(ema) => ema.averages().clone(),
            None => {
                let parameters = self.parameters.iter();
                parameters
                    .map(|(name, var)| (name.clone(), var.as_detached_tensor()))
                    .collect()
            }
        }
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-9)
}

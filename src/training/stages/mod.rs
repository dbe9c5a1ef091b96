//! What a step computes gradients of.
pub mod autoencoder;
pub mod flow_grpo;
pub mod flow_matching;
pub mod judging;
pub mod language_modelling;
pub mod np_edit;

use std::ops::ControlFlow;

use super::{
    checkpoint::State,
    draws::Draws,
    error::{TrainingError, TrainingResult},
    optimiser::{Gradients, Parameters, accumulate},
    terms::Terms,
};

/// One kind of training.
pub trait Stage {
    /// What the steps move.
    fn parameters(&self) -> &Parameters;

    /// Rows that one step takes from the order.
    fn rows_per_step(&self) -> u64;

    /// Gradients of one step, with everything else that the step updates (the fake score).
    ///
    /// # Errors
    /// See [`TrainingError`]; the step is then as if it had not begun, but for what other models learnt.
    fn step(&mut self, step: &mut Step) -> TrainingResult<Outcome>;

    /// Adds to a checkpoint what the next step depends on.
    fn save(&self, state: &mut State);

    /// Takes it back.
    ///
    /// # Errors
    /// The state is of another run.
    fn restore(&mut self, state: &State) -> TrainingResult<()>;
}

/// Where in the run a step is, and its right to go on.
pub struct Step<'a> {
    /// Counted from 0.
    pub index: u64,
    pub draws: Draws,
    /// Asked between passes: breaking off drops the step.
    pub go_on: &'a mut dyn FnMut() -> ControlFlow<()>,
}

impl Step<'_> {
    /// # Errors
    /// Whoever runs the training wants it to stop.
    pub fn turn(&mut self) -> TrainingResult<()> {
        match (self.go_on)() {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TrainingError::Interrupted),
        }
    }
}

/// What a step found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub gradients: Gradients,
    /// The loss that the gradients are of, a mean over the batch.
    pub loss: f64,
    pub terms: Terms,
}

impl Outcome {
    /// Adds what another part of the batch found.
    pub(super) fn add(&mut self, part: Self) -> TrainingResult<()> {
        self.loss += part.loss;
        self.terms.merge(part.terms);
        Ok(accumulate(&mut self.gradients, part.gradients)?)
    }
}

//! Reinforcement learning with the same judge: groups of edits, each better or worse than its group (Flow-GRPO,
//! arXiv 2505.05470). The baseline that needs no gradient of the judge.
mod drawn;
mod passes;
mod sampling;
mod sde;

use candle_core::DType;

use self::{
    drawn::Drawn,
    passes::{Pass, velocity},
    sde::SdeStep,
};
use super::{Outcome, Stage, Step};
use crate::{
    pipelines::{
        judge::Judge,
        sigmas::Sigmas,
        velocity::{Generator, VelocityModel},
    },
    training::{
        checkpoint::{CheckpointError, State},
        conditioning::Conditioner,
        error::TrainingResult,
        instruction_set::Row,
        lanes::Lanes,
        losses::grpo::{Surrogate, divergences},
        optimiser::Parameters,
        order::Order,
        recipe::{Batch, Grpo},
        tuning::Tuned,
    },
};

/// What the stage trains on.
pub struct Rows {
    pub rows: Vec<Row>,
    pub order: Order,
}

/// The stage between two steps.
pub struct FlowGrpo<'a> {
    generator: Tuned,
    batch: Batch,
    grpo: Grpo,
    lanes: Lanes,
    rows: Rows,
    conditioner: Conditioner<'a>,
    judge: &'a Judge,
    /// Every denoising step but the last.
    draws: Vec<SdeStep>,
    /// Level of the last denoising step: it draws no noise, which nothing after it would take away.
    last: f64,
    /// Of the batch that is not done yet.
    drawn: Vec<Drawn>,
}

impl<'a> FlowGrpo<'a> {
    /// `sigmas` are those of sampling, two steps at least.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn new(
        (batch, grpo): (Batch, Grpo),
        sigmas: &Sigmas,
        rows: Rows,
        (conditioner, judge): (Conditioner<'a>, &'a Judge),
        generator: Tuned,
    ) -> TrainingResult<Self> {
        let mut draws: Vec<_> = sigmas
            .pairs()
            .map(|pair| SdeStep::new(pair, grpo.noise_level))
            .collect();
        let last = draws.pop().map_or(1.0, |step| step.sigma);
        Ok(Self {
            generator,
            lanes: Lanes::new(batch.at_once)?,
            batch,
            grpo,
            rows,
            conditioner,
            judge,
            draws,
            last,
            drawn: Vec::new(),
        })
    }

    /// One denoising step of one pass: its part of the gradients.
    fn of_draw(&self, (pass, drawn): (&Pass, &Drawn), at: usize) -> TrainingResult<Outcome> {
        let (draw, now) = (&self.draws[at], &drawn.latents[at]);
        let mean = |model: &Generator| -> TrainingResult<_> {
            let prepared = model.prepare(now, &pass.conditioning)?;
            Ok(draw.mean(now, &velocity((model, &prepared), now, draw.sigma)?)?)
        };
        // 1 ratio       how much more probable the draw is than when it was made
        let tracked = mean(&Generator(self.generator.tracked.clone()))?;
        let log_probs = draw.log_probs(&drawn.latents[at + 1], &tracked)?;
        let ratios = (log_probs - &drawn.log_probs[at])?.exp()?;
        // 2 losses      ratio -> clipped surrogate, and how far the draw is from the base's
        let surrogate = Surrogate::new(&ratios, &drawn.advantages, self.grpo.clip_range)?;
        let count = self.batch.size * self.grpo.group * self.draws.len();
        let mut outcome = Outcome::default();
        let mut losses = surrogate.losses.clone();
        if self.grpo.kl > 0.0 {
            let base = mean(&self.conditioner.bundle().generator)?;
            let divergences = divergences(&tracked, &base, draw.std)?;
            for value in in_double(&divergences)? {
                outcome.terms.add("kl", value);
            }
            losses = (losses + (divergences * self.grpo.kl)?)?;
        }
        for (value, clipped) in in_double(&surrogate.losses)?.iter().zip(surrogate.clipped) {
            outcome.terms.add("policy", *value);
            outcome.terms.add("clipped", f64::from(u8::from(clipped)));
        }
        // 3 backward    one denoising step at a time: no more than one is in memory
        outcome.loss = in_double(&losses)?.iter().sum::<f64>() / count as f64;
        let mut grads = (losses.sum_all()? / count as f64)?.backward()?;
        outcome.gradients = self.generator.gradients(&mut grads);
        Ok(outcome)
    }
}

fn in_double(values: &candle_core::Tensor) -> candle_core::Result<Vec<f64>> {
    values.to_dtype(DType::F64)?.to_vec1()
}

impl Stage for FlowGrpo<'_> {
    fn parameters(&self) -> &Parameters {
        &self.generator.parameters
    }

    fn rows_per_step(&self) -> u64 {
        self.batch.size as u64
    }

    fn step(&mut self, step: &mut Step) -> TrainingResult<Outcome> {
        let (batch, update) = (
            step.index / self.grpo.updates,
            step.index % self.grpo.updates,
        );
        let mut outcome = Outcome::default();
        let passes = self.passes(batch)?;
        // 1 a batch is drawn and judged once
        if update == 0 {
            self.drawn = self.draw(&passes, step, &mut outcome.terms)?;
        }
        if self.drawn.len() != passes.len() {
            let name = "drawn batch".into();
            return Err(CheckpointError::Missing { name }.into());
        }
        // 2 gradients, pass by pass and draw by draw
        let draws = passes.iter().zip(&self.drawn);
        let draws: Vec<_> = draws
            .flat_map(|of| (0..self.draws.len()).map(move |at| (of, at)))
            .collect();
        let pass = |(of, at): &((&Pass, &Drawn), usize), _: &mut Step| self.of_draw(*of, *at);
        self.lanes
            .run(&draws, step, pass, |part| outcome.add(part))?;
        if update + 1 == self.grpo.updates {
            self.drawn.clear();
        }
        Ok(outcome)
    }

    fn save(&self, state: &mut State) {
        Drawn::save(&self.drawn, state);
    }

    fn restore(&mut self, state: &State) -> TrainingResult<()> {
        self.drawn = Drawn::restore(state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

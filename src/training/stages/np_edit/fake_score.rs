//! The fake score: a text-to-image model that follows what the generator makes.
use candle_core::{Result, Tensor};

use super::{
    NpEdit, Step,
    batch::MicroBatch,
    columns::{column, in_double, noise_like},
    run, unmasked,
};
use crate::{
    models::zimage::Captions,
    pipelines::velocity::Generator,
    training::{
        checkpoint::State,
        draws::Purpose,
        error::TrainingResult,
        losses::flow::{losses, noised},
        optimiser::{AdamWSettings, Gradients, Hidden, Optimiser, accumulate, clip_global_norm},
        tuning::Tuned,
    },
};

/// How the fake score learns.
#[derive(Clone, Debug, PartialEq)]
pub struct FakeScoreSettings {
    /// Updates before every generator step.
    pub updates: u32,
    pub optimiser: AdamWSettings,
    pub hidden: Hidden,
    pub clip_norm: f64,
}

/// The model with its optimiser.
pub(super) struct FakeScore {
    model: Tuned,
    optimiser: Optimiser,
    learning_rate: f64,
    clip_norm: f64,
}

const PREFIX: &str = "fake_score";

impl FakeScore {
    pub(super) fn new(settings: &FakeScoreSettings, model: Tuned) -> Self {
        Self {
            model,
            optimiser: Optimiser::new(settings.optimiser, settings.hidden.clone()),
            learning_rate: settings.optimiser.learning_rate,
            clip_norm: settings.clip_norm,
        }
    }

    /// What it believes, recording nothing. `[B, C, h, w]`
    pub(super) fn velocity(
        &self,
        latents: &Tensor,
        sigma: &Tensor,
        captions: &Captions,
    ) -> Result<Tensor> {
        unmasked(&self.model.frozen).velocity(latents, sigma, captions)
    }

    pub(super) fn save(&self, state: &mut State) {
        state.put_parameters(PREFIX, &self.model.parameters);
        state.put_optimiser(PREFIX, &self.optimiser);
    }

    pub(super) fn restore(&mut self, state: &State) -> TrainingResult<()> {
        state.restore_parameters(PREFIX, &self.model.parameters)?;
        self.optimiser = state.optimiser(PREFIX, &self.optimiser)?;
        Ok(())
    }

    /// A finite gradient moves the model; any other leaves it as it is.
    fn learn(&mut self, mut gradients: Gradients) -> TrainingResult<()> {
        let norm = clip_global_norm(&mut gradients, self.clip_norm)?;
        if norm.is_finite() && !gradients.is_empty() {
            self.optimiser
                .update(&self.model.parameters, &gradients, self.learning_rate)?;
        }
        Ok(())
    }
}

impl NpEdit<'_> {
    /// Flow matching on what the generator makes of the batch at `from`; answers the mean loss.
    pub(super) fn update_fake_score(
        &mut self,
        (update, from): (u32, u64),
        step: &mut Step,
    ) -> TrainingResult<f64> {
        let mut gradients = Gradients::new();
        let mut loss = 0.0;
        let mut batches = self.batches(from)?;
        // nothing is matched on what only has to stay
        batches.retain(|batch| !batch.replayed());
        let matched = |batch: &MicroBatch, step: &mut Step| self.matched((update, batch), step);
        self.lanes.run(&batches, step, matched, |(part, of_part)| {
            loss += of_part;
            Ok(accumulate(&mut gradients, part)?)
        })?;
        self.fake_score.learn(gradients)?;
        Ok(loss)
    }

    /// One pass of an update: its part of the gradients and of the loss.
    fn matched(
        &self,
        (update, batch): (u32, &MicroBatch),
        step: &Step,
    ) -> TrainingResult<(Gradients, f64)> {
        let path = self.path(batch, step, Purpose::FakePath { update })?;
        let x0 = run(
            &path,
            &Generator(self.generator.frozen.clone()),
            &batch.conditioning,
        )?;
        let all = self.settings.batch;
        let sigmas = batch.of_items(&step.draws.uniform(Purpose::FakeSigma { update }, all));
        let sigma = column(sigmas.into_iter(), &x0)?.flatten_all()?;
        let seeds = batch.of_items(&step.draws.seeds(Purpose::FakeNoise { update }, all));
        let noise = noise_like(&x0, &seeds)?;
        let noisy = noised(&x0, &noise, &sigma)?;
        let tracked = unmasked(&self.fake_score.model.tracked);
        let velocity = tracked.velocity(&noisy, &sigma, &batch.captions)?;
        let losses = losses(&velocity, &x0, &noise)?;
        let loss = (losses.sum_all()? / all as f64)?;
        let mut grads = loss.backward()?;
        let values = in_double(&losses)?;
        let gradients = self.fake_score.model.gradients(&mut grads);
        Ok((gradients, values.iter().sum::<f64>() / all as f64))
    }
}

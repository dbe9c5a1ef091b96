//! Pictures of the first rows: reference, the base's edit, the run's edit, side by side.
use std::{fs, path::PathBuf};

use candle_core::Tensor;
use image::RgbImage;

use super::{Grid as Pictures, Models, RunDirectory, RunError, RunResult, Sets};
use crate::{
    models::zimage::Captions,
    pipelines::{
        denoise::{Denoised, Denoiser},
        image::from_pixels,
        noise::{Grid, NoiseDraw},
        sigmas::Sigmas,
        velocity::{EditConditioning, Generator},
    },
    training::{
        conditioning::{Conditioner, Encoded},
        recipe::Recipe,
        trainer::Trainer,
        tuning::Tuned,
    },
};

/// One row, encoded, with what the base makes of it.
struct Shown {
    reference: Encoded,
    text: String,
    /// `[1, L, D]`
    instruction: Tensor,
    base: RgbImage,
}

/// What every picture of a run shows.
pub(super) struct Samples<'a> {
    models: &'a Models,
    /// Follows the run: it shares the trained values.
    generator: Generator,
    sigmas: Sigmas,
    shown: Vec<Shown>,
}

impl<'a> Samples<'a> {
    pub(super) fn new(
        recipe: &Recipe,
        models: &'a Models,
        sets: &Sets,
        generator: &Tuned,
    ) -> RunResult<Self> {
        let sigmas = models.bundle.sigmas(models.bundle.settings.default_steps);
        let mut samples = Self {
            models,
            generator: Generator(generator.frozen.clone()),
            sigmas: sigmas.map_err(crate::training::error::TrainingError::from)?,
            shown: Vec::new(),
        };
        let mut conditioner = Conditioner::new(&models.bundle, sets.limits.clone(), 0);
        for (seed, row) in sets.rows.rows.iter().take(recipe.samples.rows).enumerate() {
            let reference = conditioner.picture(&row.image)?;
            let instruction = conditioner.text(&row.instruction)?;
            let base = samples.edit(
                &models.bundle.generator,
                (&reference, &instruction),
                seed as u64,
            )?;
            samples.shown.push(Shown {
                reference,
                text: row.instruction.clone(),
                instruction,
                base,
            });
        }
        Ok(samples)
    }

    /// Where the pictures of a grid lie.
    pub(super) fn grid(&self) -> Pictures {
        let sizes = self.shown.iter().map(|shown| shown.base.dimensions());
        Pictures {
            sizes: sizes.collect(),
        }
    }

    /// One a row.
    pub(super) fn instructions(&self) -> Vec<&str> {
        self.shown.iter().map(|shown| shown.text.as_str()).collect()
    }

    /// Writes what the generator makes now.
    pub(super) fn draw(&self, trainer: &Trainer, directory: &RunDirectory) -> RunResult<PathBuf> {
        let mut rows = Vec::with_capacity(self.shown.len());
        for (seed, shown) in self.shown.iter().enumerate() {
            let reference = from_pixels(&shown.reference.pixels)?.swap_remove(0);
            let now = self.edit(
                &self.generator,
                (&shown.reference, &shown.instruction),
                seed as u64,
            )?;
            rows.push([reference, shown.base.clone(), now]);
        }
        let path = directory.sample(trainer.done());
        let failed = |source| RunError::Write {
            path: path.clone(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let saved = self.grid().draw(&rows).save(&path);
        saved.map_err(|error| failed(std::io::Error::other(error)))?;
        Ok(path)
    }

    fn edit(
        &self,
        generator: &Generator,
        (reference, instruction): (&Encoded, &Tensor),
        seed: u64,
    ) -> RunResult<RgbImage> {
        let bundle = &self.models.bundle;
        let (_, channels, height, width) = reference.latents.dims4()?;
        let grid = Grid {
            channels,
            height,
            width,
        };
        let noise = NoiseDraw::from_seeds(&[seed], self.sigmas.steps(), grid, &bundle.device)?;
        let denoiser = Denoiser {
            model: generator,
            conditioning: &EditConditioning {
                reference: reference.latents.clone(),
                instruction: Captions::new(std::slice::from_ref(instruction))?,
            },
            sigmas: &self.sigmas,
            sampler: bundle.sampler(),
        };
        let denoised = denoiser.run(&noise, &mut |_| std::ops::ControlFlow::Continue(()))?;
        let latents = match denoised {
            Denoised::Finished(latents) => latents,
            Denoised::Stopped { .. } => reference.latents.clone(),
        };
        Ok(from_pixels(&bundle.vae.decode(&latents)?)?.swap_remove(0))
    }
}

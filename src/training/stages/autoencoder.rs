//! The autoencoder of the tiny bundle: learns to draw scenes again from few, slightly disturbed latents.
use candle_core::{D, DType, Device, Result, Tensor, shape::Dim};
use rayon::prelude::*;

use super::{Outcome, Stage, Step};
use crate::{
    models::vae::AutoencoderKl,
    pipelines::{
        image::to_pixels,
        noise::{Grid, NoiseDraw},
    },
    training::{
        checkpoint::State,
        draws::Purpose,
        error::TrainingResult,
        optimiser::{Parameters, gradients_of},
    },
    world::{Edit, EditMix, SceneRng, View},
};

/// What is asked of latents beside the mean absolute error of the pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoencoderLoss {
    /// Spread of the noise on the latents, so that their neighbours decode alike.
    pub latent_noise: f64,
    /// Weight of the mean absolute error of the differences between neighbouring pixels: edges.
    pub edges: f64,
    /// Weight of the mean square of the latents: keeps them near the unit that `latent_noise` is measured in.
    pub size: f64,
}

/// The stage between two steps.
pub struct Autoencoding {
    /// With scale 1 and shift 0: its own latents.
    pub vae: AutoencoderKl,
    pub parameters: Parameters,
    /// Scenes of a step.
    pub batch: usize,
    pub view: View,
    pub loss: AutoencoderLoss,
    pub seed: u64,
}

/// Pictures `[count, 3, H, W]` in [-1, 1] from `position` on: scenes before and after an edit in turn.
///
/// # Errors
/// The device refuses.
pub fn pictures(
    (seed, view): (u64, &View),
    position: u64,
    count: usize,
    device: &Device,
) -> Result<Tensor> {
    let positions: Vec<u64> = (position..position + count as u64).collect();
    let pictures = positions.into_par_iter().map(|at| {
        let edit = Edit::draw(&EditMix::all(), &mut SceneRng::new(seed, at / 2));
        let scene = if at.is_multiple_of(2) {
            &edit.before
        } else {
            &edit.after
        };
        to_pixels(&scene.render(view), &Device::Cpu)
    });
    Tensor::cat(&pictures.collect::<Result<Vec<_>>>()?, 0)?.to_device(device)
}

impl Autoencoding {
    /// The loss of pictures, and their mean squared error.
    fn loss(&self, pixels: &Tensor, noise: &Tensor) -> Result<(Tensor, Tensor)> {
        let latents = self.vae.encode_mean(pixels)?;
        let disturbed = (&latents + (noise * self.loss.latent_noise)?)?;
        let apart = (self.vae.decode(&disturbed)? - pixels)?;
        let edges = (differences(&apart, D::Minus1)? + differences(&apart, D::Minus2)?)?;
        let size = (latents.sqr()?.mean_all()? * self.loss.size)?;
        let error = apart.detach().sqr()?.mean_all()?;
        let loss = ((apart.abs()?.mean_all()? + (edges * self.loss.edges)?)? + size)?;
        Ok((loss, error))
    }
}

/// Mean absolute difference of neighbours along `dim`.
fn differences(x: &Tensor, dim: D) -> Result<Tensor> {
    let dim = dim.to_index(x.shape(), "differences")?;
    let count = x.dim(dim)? - 1;
    (x.narrow(dim, 1, count)? - x.narrow(dim, 0, count)?)?
        .abs()?
        .mean_all()
}

impl Stage for Autoencoding {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn rows_per_step(&self) -> u64 {
        self.batch as u64
    }

    fn step(&mut self, step: &mut Step) -> TrainingResult<Outcome> {
        let first = step.index * self.rows_per_step();
        let device = self.vae.device();
        let pixels = pictures((self.seed, &self.view), first, self.batch, &device)?;
        let (_, _, height, width) = pixels.dims4()?;
        let factor = self.vae.downscale_factor();
        let grid = Grid {
            channels: self.vae.latent_channels(),
            height: height / factor,
            width: width / factor,
        };
        let seeds = step.draws.seeds(Purpose::FlowNoise, self.batch);
        let noise = NoiseDraw::from_seeds(&seeds, 0, grid, &device)?.initial;
        let (loss, error) = self.loss(&pixels, &noise)?;
        let mut grads = loss.backward()?;
        let mut outcome = Outcome {
            gradients: gradients_of(&self.parameters, &mut grads),
            loss: loss.to_dtype(DType::F64)?.to_scalar()?,
            ..Outcome::default()
        };
        let error: f64 = error.to_dtype(DType::F64)?.to_scalar()?;
        // of a range of 2
        let psnr = 10.0 * libm::log10(4.0 / error);
        outcome.terms.add("psnr_db", psnr);
        Ok(outcome)
    }

    fn save(&self, _: &mut State) {}

    fn restore(&mut self, _: &State) -> TrainingResult<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use candle_core::Var;

    use super::*;
    use crate::{
        models::{
            files::Files,
            random::{self, Preset},
            vae::Config,
            weights::Weights,
        },
        nn::Compute,
        training::{
            draws::Draws,
            optimiser::{AdamW, AdamWSettings},
        },
    };

    fn stage() -> Autoencoding {
        let compute = Compute::cpu();
        let dir = tempfile::tempdir().unwrap();
        random::write(dir.path(), Preset::Tiny, 0).unwrap();
        let files = Files::Directory(dir.path().into());
        let weights = Weights::safetensors(&files, "vae").unwrap();
        let weights = weights.into_tensors("", &compute).unwrap();
        let parameters: Parameters = weights
            .into_iter()
            .map(|(name, tensor)| (name, Var::from_tensor(&tensor).unwrap()))
            .collect();
        let tensors = parameters
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()));
        let tensors = Weights::tensors("test", tensors.collect::<Vec<_>>());
        let config = Config::read(&files).unwrap();
        Autoencoding {
            vae: AutoencoderKl::load(&config, tensors, &compute).unwrap(),
            parameters,
            batch: 2,
            view: View::square(16),
            loss: AutoencoderLoss {
                latent_noise: 0.05,
                edges: 0.2,
                size: 1e-3,
            },
            seed: 3,
        }
    }

    #[test]
    fn pictures_are_before_and_after_in_turn() {
        let view = View::square(16);
        let two = pictures((3, &view), 4, 2, &Device::Cpu).unwrap();
        let edit = Edit::draw(&EditMix::all(), &mut SceneRng::new(3, 2));
        for (at, scene) in [edit.before, edit.after].iter().enumerate() {
            let alone = to_pixels(&scene.render(&view), &Device::Cpu).unwrap();
            let found = two.narrow(0, at, 1).unwrap();
            let apart = (found - alone).unwrap().abs().unwrap();
            assert_eq!(apart.max_all().unwrap().to_scalar::<f32>().unwrap(), 0.0);
        }
    }

    #[test]
    fn every_parameter_learns() {
        let mut stage = stage();
        let mut optimiser = AdamW::new(AdamWSettings {
            learning_rate: 5e-3,
            betas: [0.9, 0.99],
            ..AdamWSettings::default()
        });
        let mut losses = Vec::new();
        for _ in 0..12 {
            let mut step = Step {
                // the same scenes and noise again
                index: 0,
                draws: Draws::new(0, 0),
                go_on: &mut || ControlFlow::Continue(()),
            };
            let outcome = stage.step(&mut step).unwrap();
            assert_eq!(outcome.gradients.len(), stage.parameters.len());
            optimiser
                .update(&stage.parameters, &outcome.gradients)
                .unwrap();
            losses.push(outcome.loss);
        }
        assert!(losses[11] < 0.8 * losses[0], "{losses:?}");
    }
}

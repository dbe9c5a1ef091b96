//! The denoising loop, shared by serving and training.
use std::ops::ControlFlow;

use candle_core::{Result, Tensor};

use super::{
    noise::NoiseDraw,
    sampler::{Interval, Sampler, predict_x0},
    sigmas::Sigmas,
    velocity::VelocityModel,
};

/// A model with everything that stays fixed over the steps of one batch.
pub struct Denoiser<'a, M: VelocityModel> {
    pub model: &'a M,
    pub conditioning: &'a M::Conditioning,
    pub sigmas: &'a Sigmas,
    pub sampler: Sampler,
}

/// One finished step. All tensors `[B, C, h, w]`.
#[derive(Debug, Clone)]
pub struct DenoiseStep {
    /// 0 for the first step.
    pub index: usize,
    pub interval: Interval,
    /// Latents at `interval.sigma`.
    pub before: Tensor,
    /// Velocity at `interval.sigma`.
    pub velocity: Tensor,
    /// Latents at `interval.next`.
    pub latents: Tensor,
}

impl DenoiseStep {
    /// The clean prediction of this step.
    pub fn x0(&self) -> Result<Tensor> {
        predict_x0(&self.before, &self.velocity, self.interval.sigma)
    }
}

/// How the loop ended.
#[derive(Debug, Clone)]
pub enum Denoised {
    /// Clean latents `[B, C, h, w]`.
    Finished(Tensor),
    /// The observer broke off after this many steps.
    Stopped { steps: usize },
}

impl<M: VelocityModel> Denoiser<'_, M> {
    /// Runs all steps from `noise.initial`; `observe` sees each one and may break off.
    ///
    /// # Errors
    /// Fewer step noises than steps, or a failing model.
    pub fn run(
        &self,
        noise: &NoiseDraw,
        observe: &mut dyn FnMut(&DenoiseStep) -> ControlFlow<()>,
    ) -> Result<Denoised> {
        if noise.steps.len() < self.sigmas.steps() {
            candle_core::bail!(
                "{} step noises for {} steps; give one per step",
                noise.steps.len(),
                self.sigmas.steps()
            );
        }
        let mut latents = noise.initial.clone();
        let prepared = self.model.prepare(&latents, self.conditioning)?;
        for (index, (sigma, next)) in self.sigmas.pairs().enumerate() {
            let interval = Interval { sigma, next };
            let batch_sigma = Tensor::full(sigma as f32, latents.dim(0)?, latents.device())?;
            let velocity = self.model.velocity(&latents, &batch_sigma, &prepared)?;
            let moved = self
                .sampler
                .step(&latents, &velocity, interval, &noise.steps[index])?;
            let step = DenoiseStep {
                index,
                interval,
                before: latents,
                velocity,
                latents: moved,
            };
            if observe(&step).is_break() {
                return Ok(Denoised::Stopped { steps: index + 1 });
            }
            latents = step.latents;
        }
        Ok(Denoised::Finished(latents))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::pipelines::noise::Grid;

    /// Points from a fixed x0 to the noise the loop started with.
    struct Straight {
        noise: Tensor,
    }

    impl VelocityModel for Straight {
        type Conditioning = Tensor;
        type Prepared = Tensor;

        fn prepare(&self, _: &Tensor, x0: &Tensor) -> Result<Tensor> {
            Ok(x0.clone())
        }

        fn velocity(&self, _: &Tensor, _: &Tensor, x0: &Tensor) -> Result<Tensor> {
            &self.noise - x0
        }
    }

    fn setup() -> (NoiseDraw, Sigmas) {
        let grid = Grid {
            channels: 2,
            height: 2,
            width: 3,
        };
        let noise = NoiseDraw::from_seeds(&[1, 2], 3, grid, &Device::Cpu).unwrap();
        (noise, Sigmas::uniform(3, 6.0).unwrap())
    }

    fn max_abs(t: &Tensor) -> f32 {
        t.abs()
            .unwrap()
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar()
            .unwrap()
    }

    #[test]
    fn a_straight_path_ends_on_x0_and_keeps_its_gradient() {
        let (noise, sigmas) = setup();
        let x0 =
            Var::from_tensor(&Tensor::full(0.25f32, (2, 2, 2, 3), &Device::Cpu).unwrap()).unwrap();
        let model = Straight {
            noise: noise.initial.clone(),
        };
        let denoiser = Denoiser {
            model: &model,
            conditioning: x0.as_tensor(),
            sigmas: &sigmas,
            sampler: Sampler::Euler,
        };
        let Denoised::Finished(latents) = denoiser
            .run(&noise, &mut |_| ControlFlow::Continue(()))
            .unwrap()
        else {
            panic!("nobody broke off")
        };
        assert!(max_abs(&latents.sub(x0.as_tensor()).unwrap()) < 1e-6);
        let grads = latents.sum_all().unwrap().backward().unwrap();
        let ones = grads.get(x0.as_tensor()).unwrap();
        assert!(max_abs(&(ones - 1.0).unwrap()) < 1e-6);
        assert_eq!(latents.dtype(), DType::F32);
    }

    #[test]
    fn the_observer_sees_every_step_and_can_stop() {
        let (noise, sigmas) = setup();
        let x0 = Tensor::zeros((2, 2, 2, 3), DType::F32, &Device::Cpu).unwrap();
        let model = Straight {
            noise: noise.initial.clone(),
        };
        let denoiser = Denoiser {
            model: &model,
            conditioning: &x0,
            sigmas: &sigmas,
            sampler: Sampler::Stochastic { eta: 1.0 },
        };
        let mut seen = Vec::new();
        let stopped = denoiser
            .run(&noise, &mut |step| {
                seen.push(step.index);
                if step.index == 1 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .unwrap();
        assert_eq!(seen, [0, 1]);
        assert!(matches!(stopped, Denoised::Stopped { steps: 2 }));
    }

    #[test]
    fn too_little_noise_is_an_error() {
        let (mut noise, sigmas) = setup();
        noise.steps.pop();
        let model = Straight {
            noise: noise.initial.clone(),
        };
        let x0 = noise.initial.clone();
        let denoiser = Denoiser {
            model: &model,
            conditioning: &x0,
            sigmas: &sigmas,
            sampler: Sampler::Euler,
        };
        let error = denoiser
            .run(&noise, &mut |_| ControlFlow::Continue(()))
            .unwrap_err();
        assert!(
            error.to_string().contains("2 step noises for 3 steps"),
            "{error}"
        );
    }
}

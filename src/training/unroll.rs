//! The generator's few steps with gradients: what serving runs, from noise that training draws.
use std::ops::ControlFlow;

use candle_core::{Result, Tensor, bail};
use serde::Deserialize;

use crate::pipelines::{
    denoise::{DenoiseStep, Denoised, Denoiser},
    noise::NoiseDraw,
    sampler::Sampler,
    sigmas::Sigmas,
    velocity::VelocityModel,
};

/// Which steps the losses reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GradientThrough {
    /// Every step, as in the paper.
    #[default]
    AllSteps,
    /// The last step alone: the earlier ones record nothing.
    LastStep,
}

/// One drawn path from noise to x0.
#[derive(Clone, Debug)]
pub struct Unroll {
    pub sigmas: Sigmas,
    pub noise: NoiseDraw,
}

impl Unroll {
    /// x0 `[B, C, h, w]`; `observe` sees every step. Nothing is detached.
    ///
    /// # Errors
    /// Too little noise, or a failing model.
    pub fn run<M: VelocityModel>(
        &self,
        model: &M,
        conditioning: &M::Conditioning,
        observe: &mut dyn FnMut(&DenoiseStep),
    ) -> Result<Tensor> {
        let denoiser = Denoiser {
            model,
            conditioning,
            sigmas: &self.sigmas,
            sampler: Sampler::Renoise,
        };
        let denoised = denoiser.run(&self.noise, &mut |step| {
            observe(step);
            ControlFlow::Continue(())
        })?;
        match denoised {
            Denoised::Finished(x0) => Ok(x0),
            Denoised::Stopped { steps } => {
                bail!("nobody stopped the unroll, but it ended after {steps} steps")
            }
        }
    }
}

/// The levels of a path whose last step starts at `schedule[last]`: pure noise first, at most `depth` steps in all.
///
/// With two steps this is the paper's: `last` 0 is one step from noise, any other is two.
pub fn levels(schedule: &[f64], last: usize, depth: usize) -> Vec<f64> {
    let Some(first) = schedule.first() else {
        return Vec::new();
    };
    let from = (last + 1).saturating_sub(depth.saturating_sub(1)).max(1);
    let later = schedule.get(from..=last).unwrap_or_default();
    [&[*first], later].concat()
}

/// A generator whose earlier steps are run by its frozen twin.
pub struct LastStepOnly<'a, M> {
    pub tracked: &'a M,
    /// The same values, recording nothing.
    pub frozen: &'a M,
    /// Level of the last step.
    pub last: f64,
}

impl<M: VelocityModel> VelocityModel for LastStepOnly<'_, M> {
    type Conditioning = M::Conditioning;
    type Prepared = [M::Prepared; 2];

    fn prepare(&self, latents: &Tensor, conditioning: &M::Conditioning) -> Result<Self::Prepared> {
        Ok([
            self.tracked.prepare(latents, conditioning)?,
            self.frozen.prepare(latents, conditioning)?,
        ])
    }

    fn velocity(
        &self,
        latents: &Tensor,
        sigma: &Tensor,
        prepared: &Self::Prepared,
    ) -> Result<Tensor> {
        let [tracked, frozen] = prepared;
        let level = f64::from(sigma.max(0)?.to_scalar::<f32>()?);
        if level > self.last + f64::from(f32::EPSILON) {
            self.frozen.velocity(latents, sigma, frozen)
        } else {
            self.tracked.velocity(latents, sigma, tracked)
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    const SCHEDULE: [f64; 4] = [1.0, 0.9474, 0.8571, 0.6667];

    #[test]
    fn a_path_starts_at_noise_and_ends_at_the_drawn_level() {
        assert_eq!(levels(&SCHEDULE, 0, 2), [1.0]);
        assert_eq!(levels(&SCHEDULE, 1, 2), [1.0, 0.9474]);
        assert_eq!(levels(&SCHEDULE, 3, 2), [1.0, 0.6667]);
        assert_eq!(levels(&SCHEDULE, 3, 1), [1.0]);
        assert_eq!(levels(&SCHEDULE, 3, 4), SCHEDULE);
        assert_eq!(levels(&SCHEDULE, 2, 3), [1.0, 0.9474, 0.8571]);
    }

    /// Velocity: a trained share of the latents.
    struct Share(Tensor);

    impl VelocityModel for Share {
        type Conditioning = ();
        type Prepared = ();

        fn prepare(&self, _: &Tensor, (): &()) -> Result<()> {
            Ok(())
        }

        fn velocity(&self, latents: &Tensor, _: &Tensor, (): &()) -> Result<Tensor> {
            latents.broadcast_mul(&self.0)
        }
    }

    #[test]
    fn the_last_step_alone_has_a_gradient_where_that_is_asked() {
        let share = Var::new(&[0.5f64], &Device::Cpu).unwrap();
        let (tracked, frozen) = (Share(share.as_tensor().clone()), Share(share.detach()));
        let one = Tensor::ones((1, 1, 1, 1), DType::F64, &Device::Cpu).unwrap();
        let unroll = Unroll {
            sigmas: Sigmas::from_levels(&[1.0, 0.5]).unwrap(),
            noise: NoiseDraw {
                initial: one.clone(),
                steps: vec![one.clone(), one],
            },
        };
        let gradient = |x0: Tensor| {
            let grads = x0.sum_all().unwrap().backward().unwrap();
            grads.get(&share).unwrap().to_vec1::<f64>().unwrap()[0]
        };
        // x = 0.5 (1 - s) + 0.5, x0 = x (1 - 0.5 s): d x0 / d s at 0.5
        let all = unroll.run(&tracked, &(), &mut |_| {}).unwrap();
        assert!((gradient(all) - (-0.5 * 0.75 - 0.5 * 0.75)).abs() < 1e-12);
        let last = LastStepOnly {
            tracked: &tracked,
            frozen: &frozen,
            last: 0.5,
        };
        let last = unroll.run(&last, &(), &mut |_| {}).unwrap();
        assert!((gradient(last) + 0.5 * 0.75).abs() < 1e-12);
    }
}

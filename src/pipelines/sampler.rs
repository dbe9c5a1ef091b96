//! How one step moves the latents to the next noise level.
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// Rule that turns a velocity into the latents at the next sigma.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum Sampler {
    /// Predict x0, then mix predicted and fresh noise; `eta` in `[0, 1]` is the fresh share (1 = as trained).
    ///
    /// Source: inference sampler of `nupurkmr9/npedit` at a3cd76c ("ddim" with eta).
    Stochastic { eta: f64 },
    /// First-order step along the velocity; draws no noise.
    Euler,
    /// Predict x0, then noise it afresh: `(1 - next) x0 + next noise`, the re-noising of the training step (paper, Algorithm 1).
    Renoise,
}

/// Where the latents are and where they go: `sigma` in `(0, 1]`, `next` in `[0, sigma)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub sigma: f64,
    pub next: f64,
}

impl Sampler {
    /// Latents at `interval.next`. All tensors `[B, C, h, w]`; `noise` is standard gaussian.
    pub fn step(
        &self,
        latents: &Tensor,
        velocity: &Tensor,
        interval: Interval,
        noise: &Tensor,
    ) -> Result<Tensor> {
        let Interval { sigma, next } = interval;
        match *self {
            Self::Renoise => {
                let x0 = predict_x0(latents, velocity, sigma)?;
                if next == 0.0 {
                    return Ok(x0);
                }
                x0.affine(1.0 - next, 0.0)? + noise.affine(next, 0.0)?
            }
            Self::Euler => latents + velocity.affine(next - sigma, 0.0)?,
            Self::Stochastic { eta } => {
                let x0 = predict_x0(latents, velocity, sigma)?;
                if next == 0.0 {
                    return Ok(x0);
                }
                let kept = (next - eta * (sigma - next) * next / sigma).max(0.0);
                let fresh = (next * next - kept * kept).max(0.0).sqrt();
                let predicted_noise = (latents + velocity.affine(1.0 - sigma, 0.0)?)?;
                let moved = (x0.affine(1.0 - next, 0.0)? + predicted_noise.affine(kept, 0.0)?)?;
                if fresh == 0.0 {
                    return Ok(moved);
                }
                moved + noise.affine(fresh, 0.0)?
            }
        }
    }
}

/// Clean prediction `x0 = x - sigma v`. All tensors `[B, C, h, w]`.
pub fn predict_x0(latents: &Tensor, velocity: &Tensor, sigma: f64) -> Result<Tensor> {
    latents - velocity.affine(sigma, 0.0)?
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::from_slice(values, (1, 1, 1, values.len()), &Device::Cpu).unwrap()
    }

    fn values(t: &Tensor) -> Vec<f64> {
        t.flatten_all()
            .unwrap()
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    fn close(a: &Tensor, b: &Tensor) {
        for (a, b) in values(a).iter().zip(values(b)) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }

    #[test]
    fn a_constant_velocity_field_lands_exactly_on_x0() {
        let (x0, noise) = (tensor(&[0.3, -1.0, 2.0]), tensor(&[1.0, 0.5, -0.25]));
        let velocity = (&noise - &x0).unwrap();
        for sampler in [Sampler::Euler, Sampler::Stochastic { eta: 0.0 }] {
            let mut x = noise.clone();
            for (sigma, next) in [(1.0, 0.9), (0.9, 0.4), (0.4, 0.0)] {
                x = sampler
                    .step(&x, &velocity, Interval { sigma, next }, &noise)
                    .unwrap();
            }
            close(&x, &x0);
        }
    }

    #[test]
    fn re_noising_with_the_noise_itself_stays_on_the_path() {
        let (x0, noise) = (tensor(&[0.3, -1.0]), tensor(&[1.0, 0.5]));
        let velocity = (&noise - &x0).unwrap();
        let step = |x: &Tensor, sigma, next| {
            let interval = Interval { sigma, next };
            Sampler::Renoise
                .step(x, &velocity, interval, &noise)
                .unwrap()
        };
        let halfway = step(&noise, 1.0, 0.5);
        close(&halfway, &tensor(&[0.65, -0.25]));
        close(&step(&halfway, 0.5, 0.0), &x0);
    }

    #[test]
    fn without_fresh_noise_the_stochastic_sampler_is_euler() {
        let (x, v, n) = (
            tensor(&[0.3, 1.0]),
            tensor(&[0.5, -0.7]),
            tensor(&[9.0, 9.0]),
        );
        let interval = Interval {
            sigma: 0.8,
            next: 0.5,
        };
        let a = Sampler::Stochastic { eta: 0.0 }
            .step(&x, &v, interval, &n)
            .unwrap();
        close(&a, &Sampler::Euler.step(&x, &v, interval, &n).unwrap());
    }

    #[test]
    fn full_eta_keeps_the_variance_of_the_next_level() {
        // s = t'^2 / t of the noise is kept, sqrt(t'^2 - s^2) of it is fresh.
        let (x, v, n) = (tensor(&[2.0]), tensor(&[1.0]), tensor(&[3.0]));
        let (t, u) = (0.8, 0.5);
        let got = Sampler::Stochastic { eta: 1.0 }
            .step(&x, &v, Interval { sigma: t, next: u }, &n)
            .unwrap();
        let kept = u * u / t;
        let want =
            (1.0 - u) * (2.0 - t) + kept * (2.0 + (1.0 - t)) + (u * u - kept * kept).sqrt() * 3.0;
        close(&got, &tensor(&[want]));
    }
}

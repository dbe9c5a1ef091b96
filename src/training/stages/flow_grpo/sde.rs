//! One denoising step as a draw: noise is added, and the drift makes up for it, so that every level keeps its distribution
//! (Flow-GRPO, arXiv 2505.05470, equation 9, as in yifan123/flow_grpo `sde_step_with_logprob`).
use candle_core::{D, Result, Tensor};

/// From one noise level to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SdeStep {
    pub sigma: f64,
    next: f64,
    /// `noise_level sqrt(sigma / (1 - sigma))`
    pub std: f64,
}

impl SdeStep {
    /// `next` above 0. Pure noise, where `std` would have no end, takes the `1 - sigma` of the level after it.
    pub(super) fn new((sigma, next): (f64, f64), noise_level: f64) -> Self {
        let clean = 1.0 - if sigma < 1.0 { sigma } else { next };
        Self {
            sigma,
            next,
            std: noise_level * (sigma / clean).sqrt(),
        }
    }

    /// Mean of the latents at the next level. All `[B, C, h, w]`
    pub(super) fn mean(&self, latents: &Tensor, velocity: &Tensor) -> Result<Tensor> {
        let (dt, square) = (self.next - self.sigma, self.std * self.std);
        let of_latents = 1.0 + square * dt / (2.0 * self.sigma);
        let of_velocity = (1.0 + square * (1.0 - self.sigma) / (2.0 * self.sigma)) * dt;
        latents.affine(of_latents, 0.0)? + velocity.affine(of_velocity, 0.0)?
    }

    /// Latents at the next level. All `[B, C, h, w]`; `noise` is standard gaussian.
    pub(super) fn draw(&self, mean: &Tensor, noise: &Tensor) -> Result<Tensor> {
        mean + noise.affine(self.spread(), 0.0)?
    }

    /// Log-probability of having drawn `next`, a mean over its values. `[B, C, h, w]` to `[B]`
    pub(super) fn log_probs(&self, next: &Tensor, mean: &Tensor) -> Result<Tensor> {
        let spread = self.spread();
        let squares = (next.detach() - mean)?.sqr()?.flatten_from(1)?;
        let constant = -spread.ln() - (2.0 * std::f64::consts::PI).sqrt().ln();
        squares
            .mean(D::Minus1)?
            .affine(-1.0 / (2.0 * spread * spread), constant)
    }

    /// Standard deviation of the draw.
    fn spread(&self) -> f64 {
        self.std * (self.sigma - self.next).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensor(values: [f64; 4]) -> Tensor {
        Tensor::from_slice(&values, (2, 2, 1, 1), &Device::Cpu).unwrap()
    }

    #[test]
    fn the_log_probability_is_the_mean_of_gaussian_ones() {
        let step = SdeStep::new((0.8, 0.5), 0.7);
        assert!((step.std - 0.7 * 2.0).abs() < 1e-12);
        let (mean, next) = (tensor([0.1, -0.4, 1.0, 2.0]), tensor([0.3, 0.2, -1.0, 2.0]));
        let found = step.log_probs(&next, &mean).unwrap();
        let spread = step.std * 0.3f64.sqrt();
        let gaussian = |apart: f64| {
            let scaled = apart / spread;
            ((-0.5 * scaled * scaled).exp() / (spread * (2.0 * std::f64::consts::PI).sqrt())).ln()
        };
        let exact = [
            (gaussian(0.2) + gaussian(0.6)) / 2.0,
            (gaussian(-2.0) + gaussian(0.0)) / 2.0,
        ];
        for (found, exact) in found.to_vec1::<f64>().unwrap().iter().zip(exact) {
            assert!((found - exact).abs() < 1e-12, "{found} {exact}");
        }
    }

    #[test]
    fn the_mean_is_the_published_one() {
        let (sigma, next, level) = (0.8, 0.5, 0.7);
        let step = SdeStep::new((sigma, next), level);
        let (x, v) = (0.3, -1.5);
        let mean = step
            .mean(&tensor([x; 4]), &tensor([v; 4]))
            .unwrap()
            .flatten_all()
            .unwrap();
        // drift v + std^2 / (2 sigma) (x + (1 - sigma) v), backwards in time
        let square = level * level * sigma / (1.0 - sigma);
        let exact = x + (v + square / (2.0 * sigma) * (x + (1.0 - sigma) * v)) * (next - sigma);
        assert!((mean.to_vec1::<f64>().unwrap()[0] - exact).abs() < 1e-12);
    }

    #[test]
    fn pure_noise_takes_the_next_levels_share() {
        let step = SdeStep::new((1.0, 0.9), 0.5);
        assert!((step.std - 0.5 * (1.0f64 / 0.1).sqrt()).abs() < 1e-12);
        // without noise the step is Euler's
        let quiet = SdeStep::new((1.0, 0.9), 0.0);
        let mean = quiet.mean(&tensor([2.0; 4]), &tensor([3.0; 4])).unwrap();
        let mean = mean.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert!((mean[0] - (2.0 - 0.1 * 3.0)).abs() < 1e-12);
    }
}

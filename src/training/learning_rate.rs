//! How fast to learn at which step.
use serde::Deserialize;

/// What the learning rate does after its warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// It stays, as in the reference's main stage.
    #[default]
    Constant,
    /// Half a cosine down to the final rate.
    Cosine,
    /// A straight line down to the final rate.
    Linear,
}

/// Linear warm-up, then [`Decay`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    pub peak: f64,
    /// Rate of the last step; without effect on [`Decay::Constant`].
    pub last: f64,
    pub warm_up_steps: u64,
    pub decay: Decay,
}

impl LearningRate {
    /// The rate of `step`, counted from 0, of `steps`.
    pub fn at(&self, step: u64, steps: u64) -> f64 {
        if step < self.warm_up_steps {
            return self.peak * (step + 1) as f64 / self.warm_up_steps as f64;
        }
        let length = steps.saturating_sub(self.warm_up_steps + 1).max(1);
        let done = ((step - self.warm_up_steps) as f64 / length as f64).min(1.0);
        let left = match self.decay {
            Decay::Constant => return self.peak,
            Decay::Cosine => 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done)),
            Decay::Linear => 1.0 - done,
        };
        self.last + (self.peak - self.last) * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_then_falls_to_the_last_rate() {
        let rate = |decay| LearningRate {
            peak: 1.0,
            last: 0.1,
            warm_up_steps: 4,
            decay,
        };
        let rises: Vec<f64> = (0..4)
            .map(|step| rate(Decay::Cosine).at(step, 10))
            .collect();
        assert_eq!(rises, [0.25, 0.5, 0.75, 1.0]);
        for decay in [Decay::Cosine, Decay::Linear] {
            assert_eq!(rate(decay).at(4, 10), 1.0);
            assert!((rate(decay).at(9, 10) - 0.1).abs() < 1e-12);
            assert!((rate(decay).at(99, 10) - 0.1).abs() < 1e-12);
        }
        assert_eq!(rate(Decay::Constant).at(9, 10), 1.0);
        assert_eq!(
            LearningRate {
                warm_up_steps: 0,
                ..rate(Decay::Linear)
            }
            .at(0, 1),
            1.0
        );
    }
}

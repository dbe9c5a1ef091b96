//! Noise levels of a few-step edit, from pure noise down to the picture.
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Step counts that an edit can be asked for.
pub const STEPS: RangeInclusive<usize> = 1..=8;

/// Noise levels in `[0, 1]`, strictly descending, 1 = noise, always ending in 0: one more entry than there are steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Sigmas(Vec<f64>);

/// A list of noise levels that no sampler can follow.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SigmasError {
    #[error("{steps} steps asked for; ask for {} to {}", STEPS.start(), STEPS.end())]
    Steps { steps: usize },
    #[error("no sigma given; give one per step")]
    Empty,
    #[error(
        "sigma {index} is {value}; sigmas start at 1 or below, end at 0 and fall at every step"
    )]
    Order { index: usize, value: f64 },
}

impl Sigmas {
    /// Levels at which the model is asked for a velocity; the final 0 is appended.
    ///
    /// # Errors
    /// No level, a level outside `(0, 1]`, not finite, or not below the one before.
    pub fn from_levels(levels: &[f64]) -> Result<Self, SigmasError> {
        if levels.is_empty() {
            return Err(SigmasError::Empty);
        }
        let mut previous = 1.0;
        for (index, &value) in levels.iter().enumerate() {
            let falls = value < previous || (index == 0 && value == 1.0);
            if !(falls && value > 0.0) {
                return Err(SigmasError::Order { index, value });
            }
            previous = value;
        }
        Ok(Self([levels, &[0.0]].concat()))
    }

    /// Levels of an edit: the bundle's own `released` list if it has `steps` entries, else uniform steps under its `shift`.
    ///
    /// # Errors
    /// `steps` outside [`STEPS`], or a released list that falls nowhere.
    pub fn for_edit(steps: usize, released: &[f64], shift: f64) -> Result<Self, SigmasError> {
        if !STEPS.contains(&steps) {
            return Err(SigmasError::Steps { steps });
        }
        if steps == released.len() {
            return Self::from_levels(released);
        }
        Self::uniform(steps, shift)
    }

    /// `steps` uniform levels under the time shift `s u / (1 + (s - 1) u)`, as the stock text-to-image schedule has them.
    ///
    /// # Errors
    /// `steps` of 0.
    pub fn uniform(steps: usize, shift: f64) -> Result<Self, SigmasError> {
        let levels: Vec<f64> = (0..steps)
            .map(|i| shifted(1.0 - i as f64 / steps as f64, shift))
            .collect();
        Self::from_levels(&levels)
    }

    /// All levels with the final 0, `steps + 1` of them.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Number of denoising steps.
    pub fn steps(&self) -> usize {
        self.0.len() - 1
    }

    /// `(sigma, next sigma)` of every step, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.0.windows(2).map(|pair| (pair[0], pair[1]))
    }
}

/// Time shift of flow-matching schedules (Esser et al., arXiv 2403.03206, equation 23).
fn shifted(u: f64, shift: f64) -> f64 {
    shift * u / (1.0 + (shift - 1.0) * u)
}

impl TryFrom<Vec<f64>> for Sigmas {
    type Error = SigmasError;

    fn try_from(mut all: Vec<f64>) -> Result<Self, SigmasError> {
        let index = all.len().saturating_sub(1);
        match all.pop() {
            Some(0.0) => Self::from_levels(&all),
            Some(value) => Err(SigmasError::Order { index, value }),
            None => Err(SigmasError::Empty),
        }
    }
}

impl From<Sigmas> for Vec<f64> {
    fn from(sigmas: Sigmas) -> Self {
        sigmas.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_released_levels_are_uniform_steps_under_shift_six() {
        let uniform = Sigmas::uniform(4, 6.0).unwrap();
        let released = Sigmas::from_levels(&[1.0, 0.9474, 0.8571, 0.6667]).unwrap();
        for (a, b) in uniform.as_slice().iter().zip(released.as_slice()) {
            assert!((a - b).abs() < 5e-5, "{a} {b}");
        }
    }

    #[test]
    fn the_released_list_is_used_as_it_stands_for_its_own_count() {
        let released = [1.0, 0.9474, 0.8571, 0.6667];
        let four = Sigmas::for_edit(4, &released, 6.0).unwrap();
        assert_eq!(four.as_slice(), [1.0, 0.9474, 0.8571, 0.6667, 0.0]);
        assert_eq!(Sigmas::for_edit(2, &released, 6.0), Sigmas::uniform(2, 6.0));
    }

    #[test]
    fn every_count_starts_at_noise_and_ends_clean() {
        for steps in STEPS {
            let sigmas = Sigmas::uniform(steps, 6.0).unwrap();
            assert_eq!(sigmas.steps(), steps);
            assert_eq!(sigmas.as_slice()[0], 1.0);
            assert_eq!(sigmas.as_slice()[steps], 0.0);
            assert!(sigmas.pairs().all(|(now, next)| next < now));
        }
    }

    #[test]
    fn lists_that_no_sampler_can_follow_are_refused() {
        assert_eq!(
            Sigmas::for_edit(0, &[1.0], 6.0),
            Err(SigmasError::Steps { steps: 0 })
        );
        assert_eq!(
            Sigmas::for_edit(9, &[1.0], 6.0),
            Err(SigmasError::Steps { steps: 9 })
        );
        assert_eq!(Sigmas::uniform(0, 6.0), Err(SigmasError::Empty));
        for bad in [
            &[0.5, 0.5][..],
            &[0.5, 0.7],
            &[1.5],
            &[f64::NAN],
            &[1.0, 0.0],
            &[-0.1],
        ] {
            assert!(Sigmas::from_levels(bad).is_err(), "{bad:?}");
        }
        for bad in [vec![], vec![1.0, 0.5], vec![1.0, f64::NAN]] {
            assert!(Sigmas::try_from(bad.clone()).is_err(), "{bad:?}");
        }
        assert_eq!(Sigmas::try_from(vec![1.0, 0.5, 0.0]).unwrap().steps(), 2);
    }
}

//! How sure a mean difference of pairs is (Efron and Tibshirani, "An Introduction to the Bootstrap", chapter 13).
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::Serialize;

const RESAMPLES: usize = 4000;
/// Of the interval's two tails together.
const OUTSIDE: f64 = 0.05;
const SEED: u64 = 17;

/// A mean, and the bounds between which it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Interval {
    pub mean: f64,
    pub lower: f64,
    pub upper: f64,
}

impl Interval {
    /// The percentile interval of the mean of `differences`; the same for the same values. None of no values.
    pub fn of(differences: &[f64]) -> Option<Self> {
        if differences.is_empty() {
            return None;
        }
        let count = differences.len();
        let mut rng = ChaCha12Rng::seed_from_u64(SEED);
        let mut below = || ((u64::from(rng.next_u32()) * count as u64) >> 32) as usize;
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| (0..count).map(|_| differences[below()]).sum::<f64>() / count as f64)
            .collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
        Some(Self {
            mean: differences.iter().sum::<f64>() / count as f64,
            lower: at(OUTSIDE / 2.0),
            upper: at(1.0 - OUTSIDE / 2.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_mean_and_shrinks_with_more_pairs() {
        assert_eq!(Interval::of(&[]), None);
        let same = Interval::of(&[0.25; 8]).unwrap();
        assert_eq!((same.lower, same.upper), (0.25, 0.25));
        let few: Vec<f64> = (0..10).map(|i| f64::from(i % 2)).collect();
        let many: Vec<f64> = (0..1000).map(|i| f64::from(i % 2)).collect();
        let (few, many) = (Interval::of(&few).unwrap(), Interval::of(&many).unwrap());
        assert!(few.lower < 0.5 && 0.5 < few.upper);
        // the normal interval of 1000 fair coins is 0.5 +- 0.031
        assert!((many.upper - many.lower - 0.062).abs() < 0.006, "{many:?}");
        assert_eq!(Interval::of(&[1.0, 2.0]), Interval::of(&[1.0, 2.0]));
    }
}

//! Whether probabilities mean what they say.
use super::Outcome;

/// Bins of equal width over `[0, 1]`.
pub const BINS: usize = 10;

/// The answers whose probability lies in one range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Least probability in the bin; the next bin begins where this one ends.
    pub from: f64,
    pub to: f64,
    /// Answers in it, at least one.
    pub rows: usize,
    /// Mean of their `p_correct`.
    pub p_correct: f64,
    /// Part of their edits that people call good.
    pub good: f64,
}

/// The bins that hold answers, in order.
pub fn reliability(outcomes: &[Outcome]) -> Vec<Bin> {
    let mut sums = [(0_usize, 0.0, 0_usize); BINS];
    for row in outcomes {
        let p = row.p_correct();
        let (rows, probability, good) = &mut sums[((p * BINS as f64) as usize).min(BINS - 1)];
        *rows += 1;
        *probability += p;
        *good += usize::from(row.is_good());
    }
    let bin = |(at, &(rows, probability, good)): (usize, &(usize, f64, usize))| Bin {
        from: at as f64 / BINS as f64,
        to: (at + 1) as f64 / BINS as f64,
        rows,
        p_correct: probability / rows as f64,
        good: good as f64 / rows as f64,
    };
    let used = sums.iter().enumerate().filter(|(_, sum)| sum.0 > 0);
    used.map(bin).collect()
}

/// Mean distance of stated probability and observed part, weighted by the rows of each bin (Guo et al. 2017, arXiv
/// 1706.04599, equation 3; over the probability of one of two classes, as in Naeini et al. 2015). 0 for no rows.
pub fn expected_calibration_error(outcomes: &[Outcome]) -> f64 {
    let weighted = |bin: &Bin| bin.rows as f64 * (bin.p_correct - bin.good).abs();
    let sum: f64 = reliability(outcomes).iter().map(weighted).sum();
    sum / outcomes.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{super::outcomes, *};
    use crate::pipelines::questions::Answer::{No, Yes};

    fn logit(p: f64) -> f64 {
        (p / (1.0 - p)).ln()
    }

    #[test]
    fn the_error_is_that_of_a_hand_count() {
        // 0.62 and 0.68 share a bin: mean 0.65, half are good. 0.15: none is. 1.0 and 0.95: mean 0.975, all are.
        let rows = [
            (logit(0.62), Yes),
            (logit(0.68), No),
            (logit(0.15), No),
            (800.0, Yes),
            (logit(0.95), Yes),
        ];
        let outcomes = outcomes(&rows);
        let bins = reliability(&outcomes);
        let counts: Vec<_> = bins.iter().map(|bin| (bin.from, bin.rows)).collect();
        assert_eq!(counts, [(0.1, 1), (0.6, 2), (0.9, 2)]);
        assert_eq!(bins[1].good, 0.5);
        let expected = (2.0 * 0.15 + 0.15 + 2.0 * 0.025) / 5.0;
        let error = expected_calibration_error(&outcomes);
        assert!((error - expected).abs() < 1e-9, "{error}");
    }

    #[test]
    fn nothing_has_no_error() {
        assert_eq!(expected_calibration_error(&[]), 0.0);
        assert!(reliability(&[]).is_empty());
    }
}

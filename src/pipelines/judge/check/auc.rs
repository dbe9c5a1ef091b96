//! Whether a judge puts good edits above bad ones.
use super::Outcome;

/// Half of the width of a 95 % interval, in standard errors.
const Z: f64 = 1.959_963_984_540_054;
/// Halvings after which an interval is as exact as its numbers are.
const HALVINGS: usize = 60;

/// Area under the ROC curve: how often a good edit scores above a bad one, ties counted half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auc {
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}

impl Auc {
    /// `None` where good or bad edits are missing: there is nothing to tell apart.
    ///
    /// Value: Mann and Whitney 1947, by mean ranks. Interval: Newcombe 2006, method 5 (Statistics in Medicine 25:559), which
    /// inverts the score test with the variance of Hanley and McNeil 1982 and so keeps its width where the value is 0 or 1.
    pub fn of(outcomes: &[Outcome]) -> Option<Self> {
        let good = outcomes.iter().filter(|row| row.is_good()).count() as f64;
        let bad = outcomes.len() as f64 - good;
        if good == 0.0 || bad == 0.0 {
            return None;
        }
        let above = rank_sum_of_good(outcomes) - good * (good + 1.0) / 2.0;
        let value = above / (good * bad);
        Some(Self {
            value,
            low: lower_end(value, good, bad),
            high: 1.0 - lower_end(1.0 - value, good, bad),
        })
    }
}

fn rank_sum_of_good(outcomes: &[Outcome]) -> f64 {
    let mut rows: Vec<_> = outcomes
        .iter()
        .map(|row| (row.logit(), row.is_good()))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0;
    let mut sum = 0.0;
    for ties in rows.chunk_by(|a, b| a.0 == b.0) {
        let mean_rank = below as f64 + (ties.len() + 1) as f64 / 2.0;
        sum += mean_rank * ties.iter().filter(|row| row.1).count() as f64;
        below += ties.len();
    }
    sum
}

/// The least area from which `value` is no more than `Z` standard errors away.
fn lower_end(value: f64, good: f64, bad: f64) -> f64 {
    let rows = (good + bad) / 2.0 - 1.0;
    let variance = |area: f64| {
        let spread = 1.0 + rows * ((1.0 - area) / (2.0 - area) + area / (1.0 + area));
        area * (1.0 - area) * spread / (good * bad)
    };
    let (mut outside, mut inside) = (0.0, value);
    for _ in 0..HALVINGS {
        let area = f64::midpoint(outside, inside);
        if value - area > Z * variance(area).sqrt() {
            outside = area;
        } else {
            inside = area;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::{super::outcomes, *};
    use crate::pipelines::questions::Answer::{No, Yes};

    #[test]
    fn a_tie_is_half_a_win() {
        // Good 3, 1, 1 beside bad 2, 1, 0: wins 3 + (0 + 1/2 + 1) * 2 of 9.
        let rows = [
            (3.0, Yes),
            (1.0, Yes),
            (1.0, Yes),
            (2.0, No),
            (1.0, No),
            (0.0, No),
        ];
        let auc = Auc::of(&outcomes(&rows)).unwrap();
        assert!((auc.value - 6.0 / 9.0).abs() < 1e-12, "{auc:?}");
        let same = rows.map(|(_, label)| (0.5, label));
        assert_eq!(Auc::of(&outcomes(&same)).unwrap().value, 0.5);
    }

    #[test]
    fn answers_that_round_to_one_are_still_ordered() {
        let auc = Auc::of(&outcomes(&[(50.0, Yes), (40.0, No)])).unwrap();
        assert_eq!(auc.value, 1.0);
    }

    #[test]
    fn one_label_has_no_area() {
        assert_eq!(Auc::of(&outcomes(&[(1.0, Yes), (2.0, Yes)])), None);
        assert_eq!(Auc::of(&outcomes(&[(1.0, No)])), None);
        assert_eq!(Auc::of(&[]), None);
    }

    #[test]
    fn a_few_rows_without_a_mistake_prove_nothing() {
        // (1 - t)^2 = z^2 t (1 - t) has the root 1 / (1 + z^2).
        let auc = Auc::of(&outcomes(&[(1.0, Yes), (0.0, No)])).unwrap();
        assert_eq!((auc.value, auc.high), (1.0, 1.0));
        assert!((auc.low - 1.0 / (1.0 + Z * Z)).abs() < 1e-9, "{auc:?}");
    }

    #[test]
    fn the_interval_ends_at_one_half_where_the_rank_test_does() {
        // Under chance the variance is (good + bad + 1) / (12 good bad), as in the Mann-Whitney test.
        let (good, bad): (f64, f64) = (40.0, 60.0);
        let edge = 0.5 + Z * ((good + bad + 1.0) / (12.0 * good * bad)).sqrt();
        assert!((lower_end(edge, good, bad) - 0.5).abs() < 1e-9);
    }
}

//! The temperature that makes a judge's probabilities mean what they say.
use super::Outcome;
use crate::pipelines::questions::Answer;

/// Rows below which a temperature would be a guess.
pub const MIN_ROWS: usize = 20;
/// Temperatures are sought in `[1 / LIMIT, LIMIT]`.
const LIMIT: f64 = 20.0;
/// Width in log temperature at which the search ends.
const TOLERANCE: f64 = 1e-7;
/// A minimum this close to an end, in log temperature, lies beyond it.
const BORDER: f64 = 1e-3;

/// Why there is no temperature.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    #[error("{rows} rows are too few to fit a temperature; label at least {MIN_ROWS}")]
    TooFew { rows: usize },
    #[error("every label is {}; a temperature needs good and bad edits", if *label == Answer::Yes { "yes" } else { "no" })]
    OneLabel { label: Answer },
    #[error(
        "the best temperature is above {LIMIT}: the answers say nothing about these labels; check the labels, or take another judge"
    )]
    Uninformative,
    #[error(
        "the best temperature is below {}: hardly an answer is wrong, so nothing says how sure to be; add harder edits",
        1.0 / LIMIT
    )]
    Separable,
}

/// Whether a temperature can be fitted to rows with these labels, which is known before any is judged.
///
/// # Errors
/// Too few rows, or one label only.
pub fn check_labels(labels: &[Answer]) -> Result<(), FitError> {
    let rows = labels.len();
    match labels.first() {
        Some(&label) if rows >= MIN_ROWS => {
            if labels.iter().all(|other| *other == label) {
                return Err(FitError::OneLabel { label });
            }
            Ok(())
        }
        _ => Err(FitError::TooFew { rows }),
    }
}

/// The temperature of least negative log-likelihood, whatever temperature the answers had: Guo et al. 2017 (arXiv 1706.04599,
/// section 4.2), by golden section over the log temperature. The likelihood is convex in its inverse, so there is one minimum.
///
/// # Errors
/// See [`FitError`].
pub fn fit_temperature(outcomes: &[Outcome]) -> Result<f64, FitError> {
    let labels: Vec<_> = outcomes.iter().map(|row| row.label).collect();
    check_labels(&labels)?;
    let cost = |log: f64| {
        let temperature = log.exp();
        let cost = |row: &Outcome| negative_log_likelihood(&row.at(temperature));
        outcomes.iter().map(cost).sum::<f64>()
    };
    let end = LIMIT.ln();
    let log = golden_section(cost, -end, end);
    match log {
        log if end - log < BORDER => Err(FitError::Uninformative),
        log if end + log < BORDER => Err(FitError::Separable),
        log => Ok(log.exp()),
    }
}

/// `-ln p` of the label, without an overflow at either end.
fn negative_log_likelihood(row: &Outcome) -> f64 {
    let against = if row.is_good() {
        -row.logit()
    } else {
        row.logit()
    };
    against.max(0.0) + (-against.abs()).exp().ln_1p()
}

/// Where a function with one minimum in `[low, high]` has it (Kiefer 1953).
fn golden_section(cost: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut left, mut right) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_left, mut at_right) = (cost(left), cost(right));
    while high - low > TOLERANCE {
        if at_left < at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - ratio * (high - low);
            at_left = cost(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + ratio * (high - low);
            at_right = cost(right);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{expected_calibration_error, outcomes},
        *,
    };
    use crate::pipelines::questions::Answer::{No, Yes};

    /// Ten answers for each tenth of probability, so many of them good: calibrated at `temperature`, exactly.
    fn calibrated_at(temperature: f64) -> Vec<Outcome> {
        let rows: Vec<_> = (1..10)
            .flat_map(|tenths| {
                let odds = f64::from(tenths) / f64::from(10 - tenths);
                let margin = temperature * odds.ln();
                (0..10).map(move |row| (margin, if row < tenths { Yes } else { No }))
            })
            .collect();
        outcomes(&rows)
    }

    #[test]
    fn the_temperature_of_synthetic_answers_is_found() {
        for truth in [0.1, 0.7, 1.0, 3.0, 15.0] {
            let rows = calibrated_at(truth);
            let found = fit_temperature(&rows).unwrap();
            assert!((found / truth - 1.0).abs() < 1e-4, "{truth}: {found}");
            // What the answers were divided by before plays no part.
            let before: Vec<_> = rows.iter().map(|row| row.at(5.0)).collect();
            assert_eq!(fit_temperature(&before).unwrap(), found);
        }
        let rows = calibrated_at(3.0);
        let after: Vec<_> = rows.iter().map(|row| row.at(3.0)).collect();
        assert!(expected_calibration_error(&rows) > 0.1);
        assert!(expected_calibration_error(&after) < 0.01);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let few = outcomes(&[(1.0, Yes), (-1.0, No)]);
        assert_eq!(fit_temperature(&few), Err(FitError::TooFew { rows: 2 }));
        assert_eq!(check_labels(&[]), Err(FitError::TooFew { rows: 0 }));
        let alike = outcomes(&[(1.0, No); MIN_ROWS]);
        assert_eq!(
            fit_temperature(&alike),
            Err(FitError::OneLabel { label: No })
        );
        let apart: Vec<_> = [(1.0, Yes), (-1.0, No)].repeat(MIN_ROWS);
        assert_eq!(fit_temperature(&outcomes(&apart)), Err(FitError::Separable));
        for rows in [[(-1.0, Yes), (1.0, No)], [(0.0, Yes), (0.0, No)]] {
            let rows = outcomes(&rows.repeat(MIN_ROWS));
            assert_eq!(fit_temperature(&rows), Err(FitError::Uninformative));
        }
    }
}

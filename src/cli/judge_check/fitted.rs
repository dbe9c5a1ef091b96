//! Temperatures fitted to the answers of a folder.
use serde::Serialize;

use super::{
    ask::Answered,
    groups::{QUESTIONS, about, name},
    row::Row,
};
use crate::pipelines::{
    judge::{
        Temperatures,
        check::{FitError, check_labels, expected_calibration_error, fit_temperature},
    },
    questions::QuestionKind,
};

/// Why no temperatures are written.
#[derive(Debug, thiserror::Error)]
#[error("no temperature for the question {}: {source}", name(*question))]
pub(in crate::cli) struct NotFitted {
    question: QuestionKind,
    #[source]
    pub(in crate::cli) source: FitError,
}

/// One temperature, and what it changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Fitted {
    pub question: QuestionKind,
    pub temperature: f64,
    pub expected_calibration_error_before: f64,
    pub expected_calibration_error_after: f64,
}

/// Refuses labels that no temperature can be fitted to. A question that no row is about keeps its temperature of 1.
pub(super) fn check(rows: &[Row]) -> Result<(), NotFitted> {
    for question in QUESTIONS {
        let labels: Vec<_> = rows
            .iter()
            .filter(|row| row.question == question)
            .map(|row| row.label)
            .collect();
        if !labels.is_empty() {
            check_labels(&labels).map_err(|source| NotFitted { question, source })?;
        }
    }
    Ok(())
}

/// A temperature for each question that was asked.
pub(super) fn fit(answers: &[Answered]) -> Result<Vec<Fitted>, NotFitted> {
    let mut fitted = Vec::new();
    for question in QUESTIONS {
        let before = about(answers, question);
        if before.is_empty() {
            continue;
        }
        let temperature = fit_temperature(&before);
        let temperature = temperature.map_err(|source| NotFitted { question, source })?;
        let after: Vec<_> = before.iter().map(|row| row.at(temperature)).collect();
        fitted.push(Fitted {
            question,
            temperature,
            expected_calibration_error_before: expected_calibration_error(&before),
            expected_calibration_error_after: expected_calibration_error(&after),
        });
    }
    Ok(fitted)
}

pub(super) fn temperatures(fitted: &[Fitted]) -> Temperatures {
    let of = |question| {
        let mut found = fitted.iter().filter(|fitted| fitted.question == question);
        found.next().map_or(1.0, |fitted| fitted.temperature)
    };
    Temperatures {
        edit: of(QuestionKind::Edit),
        preservation: of(QuestionKind::Preservation),
    }
}

//! What a check found, as a pipe gets it.
use serde::Serialize;

use super::{ask::Answered, fitted::Fitted, groups::Group};
use crate::{
    http::JudgeBody,
    pipelines::{
        judge::check::{BINS, Outcome, Summary, reliability},
        questions::{EditType, QuestionKind},
    },
};

/// Everything; the numbers of all rows come first.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    judge: JudgeBody,
    #[serde(flatten)]
    overall: Numbers,
    /// Each question, and each edit type that it was asked about.
    groups: Vec<GroupNumbers>,
    /// Bins of equal width behind the calibration errors.
    bins: usize,
    /// Empty unless temperatures were asked for.
    fitted: Vec<Fitted>,
}

#[derive(Debug, Serialize)]
struct GroupNumbers {
    question: QuestionKind,
    /// `null`: all of them.
    edit_type: Option<EditType>,
    #[serde(flatten)]
    numbers: Numbers,
    reliability: Vec<BinNumbers>,
}

#[derive(Debug, Serialize)]
struct Numbers {
    rows: usize,
    good: usize,
    accuracy: f64,
    auc: Option<f64>,
    /// Ends of the 95 % interval.
    auc_interval: Option<[f64; 2]>,
    expected_calibration_error: f64,
    verdict: String,
}

#[derive(Debug, Serialize)]
struct BinNumbers {
    from: f64,
    to: f64,
    rows: usize,
    p_correct: f64,
    good: f64,
}

impl Report {
    pub fn new(
        judge: JudgeBody,
        answers: &[Answered],
        groups: &[Group],
        fitted: Vec<Fitted>,
    ) -> Self {
        Self {
            judge,
            overall: overall(answers).into(),
            groups: groups.iter().map(Into::into).collect(),
            bins: BINS,
            fitted,
        }
    }
}

/// Of all rows, whatever they are about.
pub(super) fn overall(answers: &[Answered]) -> Summary {
    let all: Vec<Outcome> = answers.iter().map(|row| row.outcome).collect();
    Summary::of(&all).expect("an empty folder is refused")
}

impl From<&Group> for GroupNumbers {
    fn from(group: &Group) -> Self {
        let bins = reliability(&group.outcomes);
        let reliability = bins.into_iter().map(|bin| BinNumbers {
            from: bin.from,
            to: bin.to,
            rows: bin.rows,
            p_correct: bin.p_correct,
            good: bin.good,
        });
        Self {
            question: group.question,
            edit_type: group.edit_type,
            numbers: group.summary().into(),
            reliability: reliability.collect(),
        }
    }
}

impl From<Summary> for Numbers {
    fn from(summary: Summary) -> Self {
        Self {
            rows: summary.rows,
            good: summary.good,
            accuracy: summary.accuracy,
            auc: summary.auc.map(|auc| auc.value),
            auc_interval: summary.auc.map(|auc| [auc.low, auc.high]),
            expected_calibration_error: summary.expected_calibration_error,
            verdict: summary.standing.to_string(),
        }
    }
}

//! How far a judge can be trusted: its answers beside those of people.
mod auc;
mod fit;
mod reliability;
mod summary;

pub use self::{
    auc::Auc,
    fit::{FitError, MIN_ROWS, check_labels, fit_temperature},
    reliability::{BINS, Bin, expected_calibration_error, reliability},
    summary::{Standing, Summary},
};
use super::{Verdict, score::sigmoid};
use crate::pipelines::questions::Answer;

/// One answer of the judge, and what a person says about the same edit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Logit of the answer that a good edit gets, minus that of the other one.
    pub margin: f64,
    /// What the judge divides the margin by.
    pub temperature: f64,
    /// Yes: a person calls the edit good.
    pub label: Answer,
}

impl Outcome {
    pub fn new(verdict: &Verdict, label: Answer) -> Self {
        let margin = verdict.yes_logit - verdict.no_logit;
        Self {
            margin: match verdict.question.expected {
                Answer::Yes => margin,
                Answer::No => -margin,
            },
            temperature: verdict.temperature,
            label,
        }
    }

    /// The same answer at another temperature.
    pub fn at(self, temperature: f64) -> Self {
        Self {
            temperature,
            ..self
        }
    }

    /// The judge's probability that the edit is good, as `/v1/score` reports it.
    pub fn p_correct(&self) -> f64 {
        sigmoid(self.logit())
    }

    /// Orders answers as [`Self::p_correct`] does, and tells apart those that it rounds to 0 or 1.
    fn logit(&self) -> f64 {
        self.margin / self.temperature
    }

    fn is_good(&self) -> bool {
        self.label == Answer::Yes
    }
}

/// Answers at temperature 1, as the tests of this module need them.
#[cfg(test)]
fn outcomes(rows: &[(f64, Answer)]) -> Vec<Outcome> {
    let outcome = |&(margin, label)| Outcome {
        margin,
        temperature: 1.0,
        label,
    };
    rows.iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::questions::{Question, QuestionKind, Shows};

    #[test]
    fn a_no_to_a_removal_speaks_for_the_edit() {
        let verdict = |expected| Verdict {
            question: Question {
                kind: QuestionKind::Edit,
                shows: Shows::Edited,
                text: "x".into(),
                expected,
            },
            yes_logit: 1.0,
            no_logit: 3.0,
            temperature: 2.0,
            p_yes: sigmoid(-1.0),
            p_correct: 0.0,
        };
        let removal = Outcome::new(&verdict(Answer::No), Answer::Yes);
        assert_eq!((removal.margin, removal.p_correct()), (2.0, sigmoid(1.0)));
        let other = Outcome::new(&verdict(Answer::Yes), Answer::Yes);
        assert_eq!((other.margin, other.p_correct()), (-2.0, sigmoid(-1.0)));
        assert_eq!(other.at(1.0).p_correct(), sigmoid(-2.0));
    }
}

//! The numbers of one group of answers.
use std::fmt;

use super::{Auc, Outcome, expected_calibration_error};
use crate::pipelines::questions::Answer;

/// How a judge did on some rows, at least one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub rows: usize,
    /// Rows whose edit people call good.
    pub good: usize,
    /// Part of the rows in which `p_correct` is above one half for a good edit, and is not for a bad one.
    pub accuracy: f64,
    /// `None` where all rows have one label.
    pub auc: Option<Auc>,
    pub expected_calibration_error: f64,
    pub standing: Standing,
}

/// What the numbers say about the judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The 95 % interval of the area lies above one half.
    Better,
    /// The interval holds one half.
    NoBetter,
    /// The interval lies below one half.
    Worse,
    /// Every row has this label.
    OneLabel(Answer),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better than chance",
            Self::NoBetter => "no better than chance",
            Self::Worse => "no better than chance: it puts bad edits above good ones",
            Self::OneLabel(Answer::Yes) => "AUC cannot be computed: every label is yes",
            Self::OneLabel(Answer::No) => "AUC cannot be computed: every label is no",
        })
    }
}

impl Summary {
    /// `None` for no rows.
    pub fn of(outcomes: &[Outcome]) -> Option<Self> {
        let label = outcomes.first()?.label;
        let right = |row: &&Outcome| (row.logit() > 0.0) == row.is_good();
        let auc = Auc::of(outcomes);
        Some(Self {
            rows: outcomes.len(),
            good: outcomes.iter().filter(|row| row.is_good()).count(),
            accuracy: outcomes.iter().filter(right).count() as f64 / outcomes.len() as f64,
            auc,
            expected_calibration_error: expected_calibration_error(outcomes),
            standing: match auc {
                None => Standing::OneLabel(label),
                Some(auc) if auc.low > 0.5 => Standing::Better,
                Some(auc) if auc.high < 0.5 => Standing::Worse,
                Some(_) => Standing::NoBetter,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::outcomes, *};
    use crate::pipelines::questions::Answer::{No, Yes};

    fn standing(rows: &[(f64, Answer)]) -> Standing {
        Summary::of(&outcomes(rows)).unwrap().standing
    }

    #[test]
    fn a_judge_is_called_what_it_is() {
        let apart: Vec<_> = (0..20)
            .map(|at| (f64::from(at) - 9.5, if at < 10 { No } else { Yes }))
            .collect();
        assert_eq!(standing(&apart), Standing::Better);
        let inverted: Vec<_> = apart.iter().map(|(x, label)| (-x, *label)).collect();
        assert_eq!(standing(&inverted), Standing::Worse);
        let mixed: Vec<_> = (0..20)
            .map(|at| (f64::from(at), if at % 2 == 0 { No } else { Yes }))
            .collect();
        assert_eq!(standing(&mixed), Standing::NoBetter);
        assert_eq!(standing(&[(1.0, No)]), Standing::OneLabel(No));
        for bad in [Standing::Worse, Standing::NoBetter] {
            assert!(bad.to_string().starts_with("no better than chance"));
        }
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn an_even_answer_does_not_call_an_edit_good() {
        let rows = [(0.0, Yes), (0.0, No), (2.0, Yes), (-1.0, Yes)];
        let summary = Summary::of(&outcomes(&rows)).unwrap();
        assert_eq!((summary.rows, summary.good), (4, 3));
        assert_eq!(summary.accuracy, 0.5);
    }
}

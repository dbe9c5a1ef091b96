//! Answers by question and edit type.
use std::collections::BTreeSet;

use super::ask::Answered;
use crate::pipelines::{
    judge::check::{Outcome, Summary},
    questions::{EditType, QuestionKind},
};

/// The questions that rows can be about.
pub(super) const QUESTIONS: [QuestionKind; 2] = [QuestionKind::Edit, QuestionKind::Preservation];

/// Answers that are summed up together, at least one.
pub(super) struct Group {
    pub question: QuestionKind,
    /// `None`: all of them.
    pub edit_type: Option<EditType>,
    pub outcomes: Vec<Outcome>,
}

impl Group {
    pub fn summary(&self) -> Summary {
        Summary::of(&self.outcomes).expect("a group has rows")
    }

    pub fn name(&self) -> String {
        let question = name(self.question);
        match self.edit_type {
            None => question.to_owned(),
            Some(edit_type) => format!("{question}, {edit_type}"),
        }
    }
}

pub(super) fn name(question: QuestionKind) -> &'static str {
    match question {
        QuestionKind::Edit => "edit",
        QuestionKind::Preservation => "preservation",
        QuestionKind::Custom => "custom",
    }
}

/// The answers to one question, in order.
pub(super) fn about(answers: &[Answered], question: QuestionKind) -> Vec<Outcome> {
    let about = answers.iter().filter(|row| row.question == question);
    about.map(|row| row.outcome).collect()
}

/// Each question that was asked, followed by each edit type that it was asked about.
pub(super) fn groups(answers: &[Answered]) -> Vec<Group> {
    let mut groups = Vec::new();
    for question in QUESTIONS {
        let about: Vec<_> = answers
            .iter()
            .filter(|row| row.question == question)
            .collect();
        let types: BTreeSet<_> = about.iter().map(|row| row.edit_type).collect();
        if about.is_empty() {
            continue;
        }
        for edit_type in std::iter::once(None).chain(types.into_iter().map(Some)) {
            let of_type = |row: &&&Answered| edit_type.is_none_or(|only| row.edit_type == only);
            groups.push(Group {
                question,
                edit_type,
                outcomes: about
                    .iter()
                    .filter(of_type)
                    .map(|row| row.outcome)
                    .collect(),
            });
        }
    }
    groups
}

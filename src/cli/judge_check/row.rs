//! One line of a folder of labelled edits.
use std::path::{Component, Path};

use serde_json::{Map, Value};

use crate::{
    cli::error::Unusable,
    pipelines::{
        judge::JudgeError,
        questions::{Answer, EditDescription, EditType, QuestionKind, UnknownEditType},
    },
};

const FIELDS: [&str; 7] = [
    "reference",
    "edited",
    "instruction",
    "edit_type",
    "object",
    "question",
    "expected",
];

/// An edit and what a person says about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Counted from 1.
    pub line: usize,
    /// Relative to the folder, and inside of it.
    pub reference: String,
    pub edited: String,
    pub edit: EditDescription,
    /// Which of the two questions the label answers.
    pub question: QuestionKind,
    /// Yes: as that question asks, the edit is good.
    pub label: Answer,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowProblem {
    #[error("is not JSON: {0}; write one object a line")]
    Json(#[source] serde_json::Error),
    #[error("is no object; write one object a line")]
    NotObject,
    #[error("has no {field}; add it")]
    Missing { field: &'static str },
    #[error("{field} is no text; write it in quotes")]
    NotText { field: &'static str },
    #[error("has the unknown field {field:?}; use {}", FIELDS.join(", "))]
    Unknown { field: String },
    #[error("{0}")]
    EditType(#[source] UnknownEditType),
    #[error("question is {found:?}; use edit or preservation")]
    Question { found: String },
    #[error("expected is {found:?}; use yes for a good edit and no for a bad one")]
    Expected { found: String },
    #[error("{field} is {path:?}; name a file inside the folder, relative to it")]
    Outside { field: &'static str, path: String },
    #[error("{0}")]
    Unusable(#[source] Unusable),
    #[error("{0}")]
    Judge(#[source] JudgeError),
}

impl Row {
    /// What tells one edit from another, whichever question is asked about it.
    pub fn key(&self) -> (&str, &str, &str, EditType, &str) {
        let EditDescription {
            instruction,
            edit_type,
            object,
        } = &self.edit;
        (
            &self.reference,
            &self.edited,
            instruction,
            *edit_type,
            object,
        )
    }

    /// Everything that is wrong with `text`, not the first thing only.
    pub fn parse(line: usize, text: &str) -> Result<Self, Vec<RowProblem>> {
        let fields = match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(vec![RowProblem::NotObject]),
            Err(source) => return Err(vec![RowProblem::Json(source)]),
        };
        let mut reader = Reader {
            fields,
            problems: Vec::new(),
        };
        let row = Self {
            line,
            reference: reader.path("reference"),
            edited: reader.path("edited"),
            edit: EditDescription {
                instruction: reader.required("instruction"),
                edit_type: reader.edit_type(),
                object: reader.text("object").unwrap_or_default(),
            },
            question: reader.question(),
            label: reader.label(),
        };
        let unknown = reader.fields.into_iter().map(|(field, _)| field);
        let unknown = unknown.map(|field| RowProblem::Unknown { field });
        reader.problems.extend(unknown);
        if reader.problems.is_empty() {
            Ok(row)
        } else {
            Err(reader.problems)
        }
    }
}

/// Takes the fields that it knows; a field with a problem reads as a stand-in that nobody sees.
struct Reader {
    fields: Map<String, Value>,
    problems: Vec<RowProblem>,
}

impl Reader {
    /// `null` is what many writers put for nothing.
    fn text(&mut self, field: &'static str) -> Option<String> {
        match self.fields.remove(field)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => {
                self.problems.push(RowProblem::NotText { field });
                Some(String::new())
            }
        }
    }

    fn required(&mut self, field: &'static str) -> String {
        self.text(field).unwrap_or_else(|| {
            self.problems.push(RowProblem::Missing { field });
            String::new()
        })
    }

    /// Links are followed: a folder of the hub's cache consists of them.
    fn path(&mut self, field: &'static str) -> String {
        let before = self.problems.len();
        let path = self.required(field);
        let mut parts = Path::new(&path).components();
        let inside = !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)));
        if !inside && self.problems.len() == before {
            let path = path.clone();
            self.problems.push(RowProblem::Outside { field, path });
        }
        path
    }

    fn edit_type(&mut self) -> EditType {
        let Some(name) = self.text("edit_type") else {
            return EditType::default();
        };
        name.parse().unwrap_or_else(|error| {
            self.problems.push(RowProblem::EditType(error));
            EditType::default()
        })
    }

    fn question(&mut self) -> QuestionKind {
        match self.text("question").as_deref() {
            None | Some("edit") => QuestionKind::Edit,
            Some("preservation") => QuestionKind::Preservation,
            Some(found) => {
                let found = found.to_owned();
                self.problems.push(RowProblem::Question { found });
                QuestionKind::Edit
            }
        }
    }

    fn label(&mut self) -> Answer {
        let before = self.problems.len();
        match self.required("expected").as_str() {
            "yes" => Answer::Yes,
            "no" => Answer::No,
            found => {
                if self.problems.len() == before {
                    let found = found.to_owned();
                    self.problems.push(RowProblem::Expected { found });
                }
                Answer::No
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_defaults_and_keeps_what_it_says() {
        let text = r#"{"reference": "a/b.png", "edited": "c.png", "instruction": "x", "object": null, "expected": "yes"}"#;
        let row = Row::parse(3, text).unwrap();
        assert_eq!((row.question, row.label), (QuestionKind::Edit, Answer::Yes));
        assert_eq!(row.key(), ("a/b.png", "c.png", "x", EditType::Other, ""));
        let text = text
            .replace("null", r#""hat", "question": "preservation""#)
            .replace("\"yes\"", r#""no", "edit_type": "remove""#);
        let row = Row::parse(3, &text).unwrap();
        assert_eq!(
            (row.question, row.label),
            (QuestionKind::Preservation, Answer::No)
        );
        assert_eq!(
            row.key(),
            ("a/b.png", "c.png", "x", EditType::Remove, "hat")
        );
    }

    #[test]
    fn everything_that_is_wrong_is_said() {
        let text = r#"{"reference": "/etc/x", "edited": "a/../../b.png", "edit_type": "colour", "object": 3,
            "question": "both", "expected": true, "label": 1}"#;
        let said: Vec<_> = Row::parse(1, text).unwrap_err();
        let said: Vec<_> = said.iter().map(ToString::to_string).collect();
        let parts = [
            "reference is \"/etc/x\"",
            "edited is \"a/../../b.png\"",
            "no instruction",
            "\"colour\"",
            "object is no text",
            "\"both\"",
            "expected is no text",
            "unknown field \"label\"",
        ];
        assert_eq!(said.len(), parts.len(), "{said:?}");
        for (said, part) in said.iter().zip(parts) {
            assert!(said.contains(part), "no {part:?} in {said:?}");
        }
        for (text, part) in [("{", "not JSON"), ("[]", "no object"), ("3", "no object")] {
            let said = Row::parse(1, text).unwrap_err()[0].to_string();
            assert!(said.contains(part), "{said}");
        }
    }
}

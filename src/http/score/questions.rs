//! A caller's own questions.
use super::form::ScoreLimits;
use crate::{
    engine::{Answer, Question, QuestionKind, Shows},
    http::{
        description::bounded,
        fields::{Fields, Need},
        json::Json,
        problem::FieldError,
    },
};

/// The `questions` of an item; their errors go to `item`.
pub fn questions(item: &mut Fields, limits: &ScoreLimits) -> Vec<Question> {
    let Some(list) = item.list("questions", Need::Optional) else {
        return Vec::new();
    };
    let (count, max) = (list.len(), limits.max_questions);
    if count > max {
        let message = format!("has {count} questions, the limit is {max}; send fewer");
        item.refuse("questions", message);
        return Vec::new();
    }
    let mut read = Vec::with_capacity(count);
    for (index, question) in list.into_iter().enumerate() {
        let at = format!("{}/{index}", item.pointer("questions"));
        match question {
            Json::Object(entries) => {
                let mut fields = Fields::new(at, entries);
                read.extend(question_of(&mut fields, limits));
                if let Err(errors) = fields.finish() {
                    item.errors.extend(errors);
                }
            }
            other => {
                let message = format!("must be an object, not {}", other.type_name());
                item.errors.push(FieldError::new(at, message));
            }
        }
    }
    read
}

/// `None` if a field is missing or wrong, with its error among those of `fields`.
fn question_of(fields: &mut Fields, limits: &ScoreLimits) -> Option<Question> {
    let bounds = (limits.question_max_bytes, "ask something");
    let text = bounded(fields, "text", Need::Required, bounds);
    let expected = fields.name("expected", Need::Required, &["yes", "no"]);
    let shows = fields.name("shows", Need::Optional, &["both", "edited"]);
    Some(Question {
        kind: QuestionKind::Custom,
        shows: match shows {
            Some("edited") => Shows::Edited,
            _ => Shows::Both,
        },
        text: text?,
        expected: match expected? {
            "yes" => Answer::Yes,
            _ => Answer::No,
        },
    })
}

//! What a model said, read: servers that bind it to no schema let it wrap its JSON in anything.
use serde_json::{Map, Value};

use super::{error::CaptionError, texts::Texts};

/// Longer texts than any encoder reads are no captions.
const MAX_TEXT_BYTES: usize = 8192;
/// Letters of a reason that are kept.
const REASON_CHARS: usize = 500;
/// What models that think aloud put before their answer.
const END_OF_THOUGHT: &str = "</think>";

/// Whether an instruction makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    pub makes_sense: bool,
    pub reason: String,
}

/// # Errors
/// [`CaptionError::Unreadable`].
pub fn validation(answer: &str) -> Result<Validation, CaptionError> {
    let fields = object(answer)?;
    let makes_sense = match fields.get("makes_sense") {
        Some(Value::Bool(makes_sense)) => Some(*makes_sense),
        Some(Value::String(word)) => match word.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    };
    let reason = text(&fields, "reason").unwrap_or_default();
    Ok(Validation {
        makes_sense: makes_sense.ok_or_else(|| CaptionError::unreadable(answer))?,
        reason: reason.chars().take(REASON_CHARS).collect(),
    })
}

/// The texts of an answer; what is blank, too long or no edit type counts as not said.
///
/// # Errors
/// [`CaptionError::Unreadable`].
pub fn description(answer: &str) -> Result<Texts, CaptionError> {
    let fields = object(answer)?;
    let edit_type = text(&fields, "edit_type").map(|name| name.to_ascii_lowercase());
    Ok(Texts {
        source_caption: text(&fields, "source_caption"),
        edited_caption: text(&fields, "edited_caption"),
        edit_type: edit_type.and_then(|name| name.parse().ok()),
        object: text(&fields, "object"),
    })
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    let text = fields.get(name)?.as_str()?.trim();
    let fits = !text.is_empty() && text.len() <= MAX_TEXT_BYTES;
    fits.then(|| text.to_owned())
}

fn object(answer: &str) -> Result<Map<String, Value>, CaptionError> {
    let said = answer.rsplit(END_OF_THOUGHT).next().unwrap_or(answer);
    let within = || {
        let (first, last) = (said.find('{')?, said.rfind('}')?);
        serde_json::from_str(said.get(first..=last)?).ok()
    };
    within().ok_or_else(|| CaptionError::unreadable(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::edit_type::EditType;

    #[test]
    fn json_is_found_in_what_surrounds_it() {
        for answer in [
            r#"{"reason": "a", "makes_sense": false}"#,
            "```json\n{\"makes_sense\": \"No\", \"reason\": \" a \"}\n```",
            "<think>is {it}?</think>\nHere: {\"makes_sense\": false, \"reason\": \"a\", \"more\": 1}",
        ] {
            let read = validation(answer).unwrap();
            assert_eq!((read.makes_sense, read.reason.as_str()), (false, "a"));
        }
        for answer in [
            "",
            "It makes sense.",
            "{",
            "}{",
            "[]",
            "{\"reason\": \"a\"}",
        ] {
            let error = validation(answer).unwrap_err();
            assert_eq!(error, CaptionError::unreadable(answer), "{answer}");
        }
    }

    #[test]
    fn what_is_no_text_or_no_type_was_not_said() {
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let answer = serde_json::json!({
            "source_caption": long, "edited_caption": " A cat. ", "edit_type": "Recolour", "object": "",
        });
        let texts = description(&answer.to_string()).unwrap();
        let expected = Texts {
            edited_caption: Some("A cat.".into()),
            ..Texts::default()
        };
        assert_eq!(texts, expected);
        let texts = description(r#"{"edit_type": "Color", "object": 3}"#).unwrap();
        assert_eq!(texts.edit_type, Some(EditType::Color));
    }
}

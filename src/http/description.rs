//! The fields that say what an edit is meant to do.
use super::fields::{Fields, Need};
use crate::engine::EditType;

/// An instruction is kept as sent: the same text gives the same bytes on every way in.
pub fn instruction(fields: &mut Fields, need: Need, max_bytes: usize) -> Option<String> {
    bounded(
        fields,
        "instruction",
        need,
        (max_bytes, "say what to change"),
    )
}

/// The kind of change.
pub fn edit_type(fields: &mut Fields) -> Option<EditType> {
    let text = fields.text("edit_type", Need::Optional)?;
    match text.parse() {
        Ok(edit_type) => Some(edit_type),
        Err(_) => {
            let names = EditType::ALL.map(EditType::name).join(", ");
            let message = format!(
                "must be one of {names}, not {:?}",
                super::fields::clipped(&text)
            );
            fields.refuse("edit_type", message);
            None
        }
    }
}

/// What is added, removed or changed.
pub fn object(fields: &mut Fields, max_bytes: usize) -> Option<String> {
    let advice = "name the object, or leave it out";
    bounded(fields, "object", Need::Optional, (max_bytes, advice))
}

/// A text that is not empty and not longer than so many bytes of UTF-8; `advice` is what to do about an empty one.
pub fn bounded(
    fields: &mut Fields,
    name: &'static str,
    need: Need,
    (max_bytes, advice): (usize, &str),
) -> Option<String> {
    let text = fields.text(name, need)?;
    if text.trim().is_empty() {
        fields.refuse(name, format!("is empty; {advice}"));
        return None;
    }
    if text.len() > max_bytes {
        let message = format!(
            "has {} bytes, the limit is {max_bytes}; shorten it",
            text.len()
        );
        fields.refuse(name, message);
        return None;
    }
    Some(text.into_owned())
}

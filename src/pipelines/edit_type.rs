//! The kinds of change that an instruction can ask for.
use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What kind of change an instruction asks for.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum EditType {
    Add,
    Remove,
    Replace,
    Shape,
    Action,
    Style,
    Text,
    Color,
    Material,
    Background,
    #[default]
    Other,
}

impl EditType {
    pub const ALL: [Self; 11] = [
        Self::Add,
        Self::Remove,
        Self::Replace,
        Self::Shape,
        Self::Action,
        Self::Style,
        Self::Text,
        Self::Color,
        Self::Material,
        Self::Background,
        Self::Other,
    ];

    /// Name on the wire and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Replace => "replace",
            Self::Shape => "shape",
            Self::Action => "action",
            Self::Style => "style",
            Self::Text => "text",
            Self::Color => "color",
            Self::Material => "material",
            Self::Background => "background",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for EditType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no edit type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not an edit type; use one of {}", EditType::ALL.map(EditType::name).join(", "))]
pub struct UnknownEditType {
    pub found: String,
}

impl FromStr for EditType {
    type Err = UnknownEditType;

    fn from_str(text: &str) -> Result<Self, UnknownEditType> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| UnknownEditType { found: text.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire() {
        for edit_type in EditType::ALL {
            assert_eq!(serde_json::to_value(edit_type).unwrap(), edit_type.name());
            assert_eq!(edit_type.name().parse(), Ok(edit_type));
        }
        let error = "colour".parse::<EditType>().unwrap_err().to_string();
        assert!(error.contains("color, material"), "{error}");
    }
}

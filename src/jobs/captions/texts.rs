//! What a row says beside its picture and its instruction.
use serde::{Deserialize, Serialize};

use crate::pipelines::edit_type::EditType;

/// A field that a row may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DatasetField)]
pub enum Field {
    SourceCaption,
    EditedCaption,
    EditType,
    Object,
}

impl Field {
    pub const ALL: [Self; 4] = [
        Self::SourceCaption,
        Self::EditedCaption,
        Self::EditType,
        Self::Object,
    ];

    /// Name in rows and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::SourceCaption => "source_caption",
            Self::EditedCaption => "edited_caption",
            Self::EditType => "edit_type",
            Self::Object => "object",
        }
    }
}

/// The fields that are known; a text is never blank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    pub source_caption: Option<String>,
    pub edited_caption: Option<String>,
    pub edit_type: Option<EditType>,
    pub object: Option<String>,
}

impl Texts {
    pub fn has(&self, field: Field) -> bool {
        match field {
            Field::SourceCaption => self.source_caption.is_some(),
            Field::EditedCaption => self.edited_caption.is_some(),
            Field::EditType => self.edit_type.is_some(),
            Field::Object => self.object.is_some(),
        }
    }

    /// Fields that are not known.
    pub fn missing(&self) -> Vec<Field> {
        let missing = Field::ALL.into_iter().filter(|field| !self.has(*field));
        missing.collect()
    }
}

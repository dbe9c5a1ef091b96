//! What a set is like.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{jobs::captions::Field, pipelines::edit_type::EditType};

/// Counts and notes of one set. Rows that are noted are left out of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DatasetReport)]
pub struct Report {
    /// That are trained on.
    pub rows: u64,
    #[schema(value_type = BTreeMap<String, u64>)]
    pub edit_types: BTreeMap<EditType, u64>,
    pub duplicates: Vec<LineNote>,
    /// Images that do not decode, or are not there.
    pub unreadable: Vec<LineNote>,
    /// Rows that came without `edited_caption`.
    pub missing_captions: u64,
    pub filled: Filled,
    /// What a caption model said, where one is configured and a row lacked a field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captions: Option<CaptionReport>,
    /// Of the images.
    pub bytes: u64,
    /// Of the rows, which name images by their hash.
    pub sha256: String,
}

/// Rows that are trained on whose field was filled by rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Filled {
    pub edited_caption: u64,
    pub edit_type: u64,
}

/// What is to be said of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LineNote {
    /// Counted from 1.
    pub line: usize,
    pub problem: String,
}

/// What a caption model said of the rows that lack a field; the others are not asked about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CaptionReport {
    /// Its name.
    pub model: String,
    /// Rows whose instruction makes sense for their picture.
    pub valid: u64,
    /// Rows whose instruction makes none: they are kept, and not trained on.
    pub invalid: u64,
    /// Rows without a verdict: they are filled by rule and trained on, as if there were no model.
    pub unanswered: u64,
    pub filled: FilledByModel,
    /// What to do about rows that the model should have filled and did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// One of each row that lacks a field. Empty in a list of sets.
    pub rows: Vec<RowVerdict>,
}

/// Rows whose field the model filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FilledByModel {
    pub source_caption: u64,
    pub edited_caption: u64,
    pub edit_type: u64,
    pub object: u64,
}

/// What came of asking about one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RowVerdict {
    /// Counted from 1.
    pub line: usize,
    pub verdict: Verdict,
    /// Of the verdict, in the model's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Fields that the model filled.
    pub filled: Vec<Field>,
    /// Why it did not answer, or not all that it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Whether an instruction makes sense for its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CaptionVerdict)]
pub enum Verdict {
    Valid,
    Invalid,
    Unanswered,
}

impl FilledByModel {
    pub(super) fn count(&mut self, field: Field) {
        let count = match field {
            Field::SourceCaption => &mut self.source_caption,
            Field::EditedCaption => &mut self.edited_caption,
            Field::EditType => &mut self.edit_type,
            Field::Object => &mut self.object,
        };
        *count += 1;
    }
}

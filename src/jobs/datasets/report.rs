//! What a set is like.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::pipelines::edit_type::EditType;

/// Counts and notes of one set. Rows that are noted are left out of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DatasetReport)]
pub struct Report {
    pub rows: u64,
    #[schema(value_type = BTreeMap<String, u64>)]
    pub edit_types: BTreeMap<EditType, u64>,
    pub duplicates: Vec<LineNote>,
    /// Images that do not decode, or are not there.
    pub unreadable: Vec<LineNote>,
    /// Rows that came without `edited_caption`.
    pub missing_captions: u64,
    pub filled: Filled,
    /// Of the images.
    pub bytes: u64,
    /// Of the rows, which name images by their hash.
    pub sha256: String,
}

/// Rows whose field was filled by rule.
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

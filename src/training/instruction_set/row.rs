//! One photo with one instruction.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::pipelines::questions::{EditDescription, EditType};

/// One row of an instruction set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Of the file, counted from 1.
    pub line: usize,
    /// The reference.
    pub image: PathBuf,
    pub instruction: String,
    /// What the edited picture shows; conditions teacher and fake score.
    pub edited_caption: Option<String>,
    /// What the reference shows.
    pub source_caption: Option<String>,
    pub edit_type: EditType,
    /// What is added, removed or changed; empty where nobody said.
    pub object: String,
    /// The edited picture itself, for the supervised baseline alone.
    pub edited: Option<PathBuf>,
}

/// As written: unknown keys are errors.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    image: PathBuf,
    instruction: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edited_caption: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_caption: Option<String>,
    #[serde(default)]
    edit_type: EditType,
    #[serde(default)]
    object: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edited: Option<PathBuf>,
}

/// Longer texts than any encoder reads are a mistake in the file.
const MAX_TEXT_BYTES: usize = 8192;

impl Row {
    /// `folder` is where relative pictures lie. The error says what is wrong with the line.
    pub(super) fn parse(text: &str, line: usize, folder: &Path) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if written.instruction.trim().is_empty() {
            return Err("the instruction is empty".into());
        }
        let texts = [
            ("instruction", Some(&written.instruction)),
            ("edited_caption", written.edited_caption.as_ref()),
            ("source_caption", written.source_caption.as_ref()),
            ("object", Some(&written.object)),
        ];
        for (key, text) in texts {
            let bytes = text.map_or(0, String::len);
            if bytes > MAX_TEXT_BYTES {
                return Err(format!(
                    "{key} has {bytes} bytes, at most {MAX_TEXT_BYTES} are read"
                ));
            }
        }
        Ok(Self {
            line,
            image: folder.join(written.image),
            instruction: written.instruction,
            edited_caption: written
                .edited_caption
                .filter(|text| !text.trim().is_empty()),
            source_caption: written
                .source_caption
                .filter(|text| !text.trim().is_empty()),
            edit_type: written.edit_type,
            object: written.object,
            edited: written.edited.map(|path| folder.join(path)),
        })
    }

    /// What a judge is asked about.
    pub fn description(&self) -> EditDescription {
        EditDescription {
            instruction: self.instruction.clone(),
            edit_type: self.edit_type,
            object: self.object.clone(),
        }
    }

    /// The texts in a form of their own, for the set's hash.
    pub(super) fn canonical(&self) -> String {
        let texts = [
            Some(self.instruction.as_str()),
            self.edited_caption.as_deref(),
            self.source_caption.as_deref(),
            Some(self.edit_type.name()),
            Some(self.object.as_str()),
        ];
        serde_json::json!(texts).to_string()
    }
}

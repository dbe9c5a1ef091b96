//! What was honoured only in part, as it is sent.
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::{EditWarning, ImageWarning, ScoreWarning};

/// Something that was honoured only in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AnswerWarning {
    /// `instruction_truncated`, `unknown_words`, `aspect_changed`, `colour_profile_ignored`, `sizes_differ`, `object_missing` or
    /// `parameter_without_effect`.
    pub code: &'static str,
    pub message: String,
}

impl From<&EditWarning> for AnswerWarning {
    fn from(warning: &EditWarning) -> Self {
        let code = match warning {
            EditWarning::InstructionTruncated { .. } => "instruction_truncated",
            EditWarning::UnknownWords { .. } => "unknown_words",
            EditWarning::AspectChanged { .. } => "aspect_changed",
            EditWarning::Image(warning) => image_code(warning),
        };
        Self {
            code,
            message: warning.to_string(),
        }
    }
}

impl From<&ScoreWarning> for AnswerWarning {
    fn from(warning: &ScoreWarning) -> Self {
        let code = match warning {
            ScoreWarning::SizesDiffer { .. } => "sizes_differ",
            ScoreWarning::ObjectMissing { .. } => "object_missing",
        };
        Self {
            code,
            message: warning.to_string(),
        }
    }
}

impl AnswerWarning {
    /// Of one of several images; `name` is its field.
    pub fn of_image(name: &str, warning: &ImageWarning) -> Self {
        Self {
            code: image_code(warning),
            message: format!("{name}: {warning}"),
        }
    }
}

fn image_code(warning: &ImageWarning) -> &'static str {
    match warning {
        ImageWarning::ProfileIgnored { .. } => "colour_profile_ignored",
    }
}

//! The fields of a request for scores as the OpenAPI describes them.
use utoipa::ToSchema;

use crate::engine::{Answer, EditType, Shows};

/// One pair of images, or several.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `ScoreForm` reads them"
)]
pub enum ScoreBody {
    One(ScoreItemBody),
    Batch(ScoreBatchBody),
}

/// One pair of images, and what to ask about it.
#[derive(ToSchema)]
#[schema(as = ScoreItem)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `ScoreForm` reads them"
)]
pub struct ScoreItemBody {
    /// The image that was edited: PNG, JPEG or WebP file as base64, alone or in a data URI; or an https URL where the server fetches from its host.
    #[schema(value_type = String, format = Byte, example = "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKklEQVR42mOQizpBU8QwasGoBaMWjFowasGoBaMWjFowasGoBaMWDBULACrBAEyTdwi8AAAAAElFTkSuQmCC")]
    pub reference: Vec<u8>,
    /// What came out; it may have another size.
    #[schema(value_type = String, format = Byte, example = "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKklEQVR42u3NQQkAAAgEsIttMDOZwxQ+hMH+y1SfikAgEAgEAoFAIPgSLEVoSHkOCPn6AAAAAElFTkSuQmCC")]
    pub edited: Vec<u8>,
    /// What was to be changed.
    #[schema(min_length = 1, example = "make the sky pink")]
    pub instruction: String,
    /// What kind of change; `other` if absent.
    pub edit_type: Option<EditType>,
    /// What was added, removed or changed.
    #[schema(min_length = 1, example = "the hat")]
    pub object: Option<String>,
    /// The caller's own, after the two that every edit gets; the server's settings bound them.
    pub questions: Option<Vec<QuestionBody>>,
}

/// A question that is answered with yes or no.
#[derive(ToSchema)]
#[schema(as = Question)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `ScoreForm` reads them"
)]
pub struct QuestionBody {
    #[schema(
        min_length = 1,
        example = "Is the sky pink in the second picture? Answer with Yes or No."
    )]
    pub text: String,
    /// The answer of a good edit.
    pub expected: Answer,
    /// `both` images, the reference first, or the `edited` one alone; `both` if absent.
    pub shows: Option<Shows>,
}

/// Several pairs of images; a bad one refuses the request.
#[derive(ToSchema)]
#[schema(as = ScoreBatch)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `ScoreForm` reads them"
)]
pub struct ScoreBatchBody {
    /// Answered in order; the server's settings bound their number.
    #[schema(min_items = 1)]
    pub items: Vec<ScoreItemBody>,
}

/// `ScoreItem` as multipart parts: the questions as JSON text.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the parts for the OpenAPI; `ScoreForm` reads them"
)]
pub struct ScoreMultipart {
    /// File part. Its bytes are sniffed, its media type is not trusted.
    #[schema(value_type = String, format = Binary)]
    pub reference: Vec<u8>,
    /// File part.
    #[schema(value_type = String, format = Binary)]
    pub edited: Vec<u8>,
    #[schema(min_length = 1)]
    pub instruction: String,
    pub edit_type: Option<EditType>,
    #[schema(min_length = 1)]
    pub object: Option<String>,
    pub questions: Option<Vec<QuestionBody>>,
}

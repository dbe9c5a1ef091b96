//! The fields of a set as the OpenAPI describes them.
use utoipa::ToSchema;

use crate::engine::EditType;

/// A small set, its images in base64.
#[derive(ToSchema)]
#[schema(as = DatasetBody)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `form` reads them"
)]
pub struct DatasetBody {
    /// 1 to 64 of a-z, 0-9, '.', '_' and '-'; one is made up where it is absent.
    #[schema(example = "my-photos")]
    pub name: Option<String>,
    #[schema(min_items = 1)]
    pub items: Vec<DatasetItem>,
}

/// One photo with one instruction.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `form` reads them"
)]
pub struct DatasetItem {
    /// PNG, JPEG or WebP file as base64, alone or in a data URI.
    #[schema(value_type = String, format = Byte, example = "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKklEQVR42mOQizpBU8QwasGoBaMWjFowasGoBaMWjFowasGoBaMWDBULACrBAEyTdwi8AAAAAElFTkSuQmCC")]
    pub image: Vec<u8>,
    #[schema(min_length = 1, example = "make the sky pink")]
    pub instruction: String,
    /// What the edited picture shows; where it is absent, a caption model says it or it is made of the other texts.
    pub edited_caption: Option<String>,
    /// What the picture shows.
    pub source_caption: Option<String>,
    /// Where it is absent, a caption model or the instruction's words tell it.
    pub edit_type: Option<EditType>,
    /// What is added, removed or changed.
    pub object: Option<String>,
}

/// A set of files.
#[derive(ToSchema)]
#[schema(as = DatasetMultipart)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `form` reads them"
)]
pub struct DatasetMultipart {
    pub name: Option<String>,
    /// A zip, tar or tar.gz with a table of rows and its images; or the table alone.
    #[schema(value_type = String, format = Binary)]
    pub file: Vec<u8>,
    /// Beside a table alone: the images, by their file names. May be given any number of times.
    #[schema(value_type = Option<String>, format = Binary)]
    pub images: Option<Vec<u8>>,
}

//! The fields of an edit as the OpenAPI describes them.
use utoipa::ToSchema;

use super::receipt_body::ReceiptBody;
use crate::engine::EditType;

/// An edit as it is asked for.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `EditForm` reads them"
)]
pub struct EditBody {
    /// PNG, JPEG or WebP file as base64, alone or in a data URI; or an https URL where the server fetches from its host.
    #[schema(value_type = String, format = Byte, example = "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKklEQVR42mOQizpBU8QwasGoBaMWjFowasGoBaMWjFowasGoBaMWDBULACrBAEyTdwi8AAAAAElFTkSuQmCC")]
    pub image: Vec<u8>,
    /// What to change. Required unless a receipt is sent.
    #[schema(min_length = 1, example = "make the sky pink")]
    pub instruction: Option<String>,
    /// Number of images, 1 if absent; the server's settings bound it.
    #[schema(minimum = 1, maximum = 64)]
    pub n: Option<u64>,
    /// Denoising steps; the model's default if absent.
    #[schema(minimum = 1, maximum = 8)]
    pub steps: Option<u64>,
    /// Seed of the first image; image i has `seed + i`. Drawn if absent, and reported.
    #[schema(minimum = 0, maximum = 9007199254740991u64)]
    pub seed: Option<u64>,
    /// `auto` (the input's size, the default) or `WIDTHxHEIGHT` in pixels.
    #[schema(pattern = "^(auto|[0-9]{1,5}x[0-9]{1,5})$", example = "768x512")]
    pub size: Option<String>,
    /// `png`, `jpeg` or `webp` (lossless).
    #[schema(pattern = "^(png|jpeg|jpg|webp)$")]
    pub output_format: Option<String>,
    /// Of JPEG, 1 to 100; the other formats are lossless and refuse it.
    #[schema(minimum = 1, maximum = 100)]
    pub quality: Option<u32>,
    /// Whether the images are judged; their scores are in the answer.
    pub judge: Option<bool>,
    /// Candidates that are made and judged, from so many consecutive seeds; the one with the highest `overall` is answered.
    /// Implies `judge`; the server's settings bound it.
    #[schema(minimum = 2, maximum = 64)]
    pub best_of: Option<u64>,
    /// The answer says whether its best image has this `overall`. Implies `judge`.
    #[schema(minimum = 0, maximum = 1)]
    pub min_score: Option<f64>,
    /// What kind of change the judge is asked about; `other` if absent. Only beside `judge`, `best_of` or `min_score`.
    pub edit_type: Option<EditType>,
    /// What is added, removed or changed, for the judge. Only beside `judge`, `best_of` or `min_score`.
    #[schema(min_length = 1)]
    pub object: Option<String>,
    /// Name, alias or id of an adapter for this edit.
    #[schema(min_length = 1, max_length = 128)]
    pub adapter: Option<String>,
    /// How strongly the adapter acts, not 0; 1 if absent, as strong as it was trained. Only beside `adapter`.
    #[schema(minimum = -8, maximum = 8)]
    pub adapter_scale: Option<f64>,
    /// Receipt of an earlier edit, sent with the same image to get the same bytes. Fields beside it must agree with it.
    pub receipt: Option<ReceiptBody>,
}

/// [`EditBody`] as multipart parts: numbers as text, the receipt as JSON text.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the parts for the OpenAPI; `EditForm` reads them"
)]
pub struct EditMultipart {
    /// File part; `image[]` is read as well. Exactly one. Its bytes are sniffed, its media type is not trusted.
    #[schema(value_type = String, format = Binary)]
    pub image: Vec<u8>,
    /// What to change. Required unless a receipt is sent.
    #[schema(min_length = 1)]
    pub instruction: Option<String>,
    #[schema(minimum = 1, maximum = 64)]
    pub n: Option<u64>,
    #[schema(minimum = 1, maximum = 8)]
    pub steps: Option<u64>,
    #[schema(minimum = 0, maximum = 9007199254740991u64)]
    pub seed: Option<u64>,
    #[schema(pattern = "^(auto|[0-9]{1,5}x[0-9]{1,5})$")]
    pub size: Option<String>,
    #[schema(pattern = "^(png|jpeg|jpg|webp)$")]
    pub output_format: Option<String>,
    #[schema(minimum = 1, maximum = 100)]
    pub quality: Option<u32>,
    pub judge: Option<bool>,
    #[schema(minimum = 2, maximum = 64)]
    pub best_of: Option<u64>,
    #[schema(minimum = 0, maximum = 1)]
    pub min_score: Option<f64>,
    pub edit_type: Option<EditType>,
    #[schema(min_length = 1)]
    pub object: Option<String>,
    #[schema(min_length = 1, max_length = 128)]
    pub adapter: Option<String>,
    #[schema(minimum = -8, maximum = 8)]
    pub adapter_scale: Option<f64>,
    pub receipt: Option<ReceiptBody>,
}

//! The fields of OpenAI's image edit as the OpenAPI describes them.
use utoipa::ToSchema;

use crate::engine::EditType;

/// Where an image is.
#[derive(ToSchema)]
#[schema(as = ImageUrl)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the fields for the OpenAPI")]
pub struct ImageUrl {
    /// `data:image/png;base64,...`, or an https URL where the server fetches from its host.
    pub image_url: String,
}

/// An image edit as OpenAI's clients ask for it, with native fields beside.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `ImagesForm` reads them"
)]
pub struct ImagesBody {
    /// One image.
    #[schema(min_items = 1, max_items = 16)]
    pub images: Vec<ImageUrl>,
    /// PNG of the image's size: what is transparent may change, the rest of the image is laid over the edit.
    pub mask: Option<ImageUrl>,
    #[serde(flatten)]
    pub fields: ImagesFields,
}

/// [`ImagesBody`] as multipart parts.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the parts for the OpenAPI; `ImagesForm` reads them"
)]
pub struct ImagesMultipart {
    /// File part; `image[]` is read as well. One. Its bytes are sniffed, its media type is not trusted.
    #[schema(value_type = String, format = Binary)]
    pub image: Vec<u8>,
    /// File part: PNG of the image's size; what is transparent may change, the rest of the image is laid over the edit.
    #[schema(value_type = Option<String>, format = Binary)]
    pub mask: Option<Vec<u8>>,
    #[serde(flatten)]
    pub fields: ImagesFields,
}

/// What both forms have.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the fields for the OpenAPI")]
pub struct ImagesFields {
    /// What to change.
    #[schema(min_length = 1, example = "make the sky pink")]
    pub prompt: String,
    /// The loaded model, as `/v1/models` names it; `MODEL::ADAPTER` with an adapter.
    pub model: Option<String>,
    #[schema(minimum = 1, maximum = 64)]
    pub n: Option<u64>,
    /// `auto` (the input's size, the default) or `WIDTHxHEIGHT` in pixels.
    #[schema(pattern = "^(auto|[0-9]{1,5}x[0-9]{1,5})$")]
    pub size: Option<String>,
    /// `low` takes one step, `auto` and `medium` the model's default, `high` the best of several where there is a judge.
    #[schema(pattern = "^(auto|low|medium|high|standard|hd|xhigh|max)$")]
    pub quality: Option<String>,
    /// `transparent` is refused.
    #[schema(pattern = "^(auto|opaque|transparent)$")]
    pub background: Option<String>,
    /// `png` (the default), `jpeg` or `webp`; others are refused.
    #[schema(pattern = "^(png|jpeg|webp|gif|svg)$")]
    pub output_format: Option<String>,
    /// Quality of JPEG, 100 if absent.
    #[schema(minimum = 0, maximum = 100)]
    pub output_compression: Option<u64>,
    /// `url` is refused.
    #[schema(pattern = "^(b64_json|url)$")]
    pub response_format: Option<String>,
    /// Answers with the events `image_edit.partial_image` and `image_edit.completed`.
    pub stream: Option<bool>,
    /// Previews of a streamed answer; at most one less than steps.
    #[schema(minimum = 0, maximum = 3)]
    pub partial_images: Option<u64>,
    /// No effect, said so in `warnings`.
    #[schema(pattern = "^(high|low)$")]
    pub input_fidelity: Option<String>,
    /// No effect, said so in `warnings`.
    #[schema(pattern = "^(auto|low)$")]
    pub moderation: Option<String>,
    /// No effect, said so in `warnings`.
    #[schema(pattern = "^(low|medium|high)$")]
    pub complexity: Option<String>,
    /// No effect, said so in `warnings`.
    pub user: Option<String>,
    /// No effect, said so in `warnings`.
    pub safety_identifier: Option<String>,
    /// Refuses what would only be a warning.
    pub strict: Option<bool>,
    #[schema(minimum = 1, maximum = 8)]
    pub steps: Option<u64>,
    #[schema(minimum = 0, maximum = 9007199254740991u64)]
    pub seed: Option<u64>,
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
}

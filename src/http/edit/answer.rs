//! What an edit answers, as JSON or as the image's own bytes.
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};
use uuid::Uuid;

use super::receipt_body::ReceiptBody;
use crate::engine::{EditWarning, Edited, ImageWarning, Stage};

/// Longer headers are refused by common proxies.
const MAX_HEADER_BYTES: usize = 6 << 10;

/// An edit's answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct EditAnswer {
    pub id: String,
    /// Seconds since 1970, UTC.
    pub created: u64,
    /// Name of the model.
    pub model: String,
    pub images: Vec<AnswerImage>,
    pub timings_ms: TimingsMs,
    /// What was honoured only in part.
    pub warnings: Vec<AnswerWarning>,
    pub receipt: ReceiptBody,
}

/// The bytes of one image, for the OpenAPI.
pub struct RawImage;

impl PartialSchema for RawImage {
    fn schema() -> RefOr<Schema> {
        let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(binary));
        schema.into()
    }
}

impl ToSchema for RawImage {}

/// One edited image.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerImage {
    /// The file, in base64.
    #[schema(format = Byte)]
    pub b64_json: String,
    /// Seed that gives this image alone.
    pub seed: u64,
    pub width: u32,
    pub height: u32,
}

/// Something that was honoured only in part.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerWarning {
    /// `instruction_truncated`, `aspect_changed` or `colour_profile_ignored`.
    pub code: &'static str,
    pub message: String,
}

/// Wall time of each stage, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimingsMs {
    /// Reading the request and decoding the image.
    pub read: f64,
    /// Waiting for the device.
    pub queue: f64,
    pub preprocess: f64,
    pub text: f64,
    pub encode: f64,
    pub denoise: f64,
    pub decode: f64,
    pub postprocess: f64,
    /// Writing the image files.
    pub write: f64,
    pub total: f64,
}

impl TimingsMs {
    fn new(edited: &Edited, read: Duration, total: Duration) -> Self {
        let stage = |stage| ms(edited.stages.of(stage));
        Self {
            read: ms(read),
            queue: ms(edited.queued),
            preprocess: stage(Stage::Preprocess),
            text: stage(Stage::Text),
            encode: stage(Stage::Encode),
            denoise: stage(Stage::Denoise),
            decode: stage(Stage::Decode),
            postprocess: stage(Stage::Postprocess),
            write: ms(edited.encoding),
            total: ms(total),
        }
    }
}

/// Rounded to microseconds.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

impl From<&EditWarning> for AnswerWarning {
    fn from(warning: &EditWarning) -> Self {
        let code = match warning {
            EditWarning::InstructionTruncated { .. } => "instruction_truncated",
            EditWarning::AspectChanged { .. } => "aspect_changed",
            EditWarning::Image(ImageWarning::ProfileIgnored { .. }) => "colour_profile_ignored",
        };
        Self {
            code,
            message: warning.to_string(),
        }
    }
}

/// When the request came, and when its image was decoded.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub received: std::time::Instant,
    pub read: Duration,
}

impl EditAnswer {
    /// The answer; it holds the images in base64.
    pub fn new(edited: &Edited, model: &str, receipt: ReceiptBody, clock: Clock) -> Self {
        let images = edited.images.iter().map(|image| AnswerImage {
            b64_json: BASE64_STANDARD.encode(&image.bytes),
            seed: image.seed,
            width: image.width,
            height: image.height,
        });
        Self {
            images: images.collect(),
            ..Self::head(edited, model, receipt, clock)
        }
    }

    /// The answer without its images.
    fn head(edited: &Edited, model: &str, receipt: ReceiptBody, clock: Clock) -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            id: format!("edit_{}", Uuid::now_v7().simple()),
            created: since_1970.as_secs(),
            model: model.to_owned(),
            images: Vec::new(),
            timings_ms: TimingsMs::new(edited, clock.read, clock.received.elapsed()),
            warnings: edited.warnings.iter().map(AnswerWarning::from).collect(),
            receipt,
        }
    }
}

/// The answer as JSON.
pub fn json(edited: &Edited, model: &str, receipt: ReceiptBody, clock: Clock) -> Response {
    Json(EditAnswer::new(edited, model, receipt, clock)).into_response()
}

/// The one image's own bytes, with the rest of the answer in `x-edit-*` headers.
pub fn raw(edited: Edited, model: &str, receipt: ReceiptBody, clock: Clock) -> Response {
    let media_type = media_type(&receipt.output_format);
    let head = EditAnswer::head(&edited, model, receipt, clock);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    let mut set = |name, value: String| {
        // A name or text that no header can hold is left out; the JSON form has it.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-edit-id", head.id);
    set("x-edit-model", head.model);
    set("x-edit-seed", head.receipt.seed.to_string());
    set("x-edit-timings-ms", header_json(&head.timings_ms));
    set("x-edit-warnings", header_json(&head.warnings));
    let receipt = BASE64_STANDARD.encode(header_json(&head.receipt));
    if receipt.len() <= MAX_HEADER_BYTES {
        set("x-edit-receipt", receipt);
    } else {
        set(
            "x-edit-receipt-omitted",
            "too long for a header; ask for application/json".to_owned(),
        );
    }
    let bytes = edited
        .images
        .into_iter()
        .next()
        .map(|image| image.bytes)
        .unwrap_or_default();
    (headers, bytes).into_response()
}

fn media_type(format: &str) -> &'static str {
    match format {
        "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        _ => "image/png",
    }
}

fn header_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain structs of numbers and strings serialise")
}

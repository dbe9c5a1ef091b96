//! An answer that is the image's own bytes, with the rest in headers.
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

use super::{
    answer::{EditAnswer, judged_as},
    run::Finished,
};
use crate::{engine::Candidate, http::scores::ScoreNumbers};

/// Longer headers are refused by common proxies.
const MAX_HEADER_BYTES: usize = 6 << 10;

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

/// A candidate without its questions, which are too long for a header.
#[derive(Serialize)]
struct Numbered {
    seed: u64,
    scores: ScoreNumbers,
}

impl From<&Candidate> for Numbered {
    fn from(candidate: &Candidate) -> Self {
        Self {
            seed: candidate.seed,
            scores: (&candidate.score).into(),
        }
    }
}

/// The one image's own bytes, with the rest of the answer in `x-edit-*` headers.
pub fn raw(finished: Finished) -> Response {
    let Finished {
        edited,
        profile,
        outcome,
        clock,
    } = finished;
    let head = EditAnswer::head(&edited, &profile, &outcome, clock);
    let media_type = media_type(&head.receipt.output_format);
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
    if let Some(candidate) = edited
        .images
        .first()
        .and_then(|image| judged_as(&edited, image))
    {
        set(
            "x-edit-scores",
            header_json(&ScoreNumbers::from(&candidate.score)),
        );
    }
    if head.candidates.is_some() {
        let candidates: Vec<_> = edited.candidates.iter().map(Numbered::from).collect();
        set("x-edit-candidates", header_json(&candidates));
    }
    if let Some(accepted) = head.accepted {
        set("x-edit-accepted", accepted.to_string());
    }
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

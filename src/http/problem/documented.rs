//! Which codes an operation can answer, for the OpenAPI.
use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, PartialSchema,
    openapi::{
        Content, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder,
        schema::{Object, SchemaType, Type},
    },
};

use super::Code;

/// Codes of the keys; [`add_codes`] has them documented where they can be met.
const KEYS: &[Code] = &[
    Code::MissingApiKey,
    Code::InvalidApiKey,
    Code::InsufficientScope,
    Code::RateLimitExceeded,
    Code::ConcurrencyLimitExceeded,
];

/// Codes of every operation.
pub const ANY: &[Code] = &[Code::Internal];

/// Codes of an operation that needs the model.
pub const NOT_READY: &[Code] = &[Code::NotReady, Code::Internal];

/// Codes that only OpenAI's route answers.
const IMAGES: [Code; 5] = [
    Code::UnsupportedValue,
    Code::UnsupportedParameter,
    Code::TooManyImages,
    Code::MaskSizeMismatch,
    Code::ModelNotFound,
];

/// Codes that only sets, jobs and kept adapters have.
const JOBS: &[Code] = &[
    Code::JobNotFound,
    Code::CaptureNotFound,
    Code::DatasetNotFound,
    Code::FileNotFound,
    Code::JobStateConflict,
    Code::DatasetInUse,
    Code::DatasetNameTaken,
    Code::AdapterInUse,
    Code::AliasMoved,
    Code::DatasetUnusable,
    Code::ArchiveUnusable,
    Code::IdempotencyKeyReused,
];

/// Codes of what is kept.
const STORED: &[Code] = &[Code::StorageUnavailable, Code::Internal];

/// Codes of a body and of its fields.
const BODY: &[Code] = &[
    Code::MalformedJson,
    Code::MalformedMultipart,
    Code::InvalidRequest,
    Code::BodyInterrupted,
    Code::RequestTimeout,
    Code::RequestTooLarge,
    Code::UnsupportedMediaType,
    Code::Overloaded,
];

const DATASET: &[Code] = &[
    Code::DatasetNotFound,
    Code::DatasetInUse,
    Code::DatasetNameTaken,
    Code::DatasetUnusable,
    Code::ArchiveUnusable,
];

const CAPTURE: &[Code] = &[Code::CaptureNotFound];

const JOB: &[Code] = &[
    Code::RouteNotFound,
    Code::JobNotFound,
    Code::FileNotFound,
    Code::JobStateConflict,
    Code::IdempotencyKeyReused,
];

const ADAPTER: &[Code] = &[
    Code::AdapterNotFound,
    Code::AdapterInUse,
    Code::AliasMoved,
    Code::AdapterUnusable,
];

/// Codes of an edit: all but those of the router, of OpenAI's route and of what is kept.
pub fn edit_codes() -> Vec<Code> {
    let router = [
        Code::RouteNotFound,
        Code::MethodNotAllowed,
        Code::ResultNotFound,
    ];
    all_but(&[&router[..], &IMAGES, JOBS].concat())
}

/// Codes of an image edit: it reads no receipt and no `Accept`.
pub fn images_codes() -> Vec<Code> {
    let others = [
        Code::RouteNotFound,
        Code::MethodNotAllowed,
        Code::NotAcceptable,
        Code::ReceiptMismatch,
        Code::ResultNotFound,
    ];
    all_but(&[&others[..], JOBS].concat())
}

/// Codes of a score: those of an edit, without receipts and without a choice of the answer's form.
pub fn score_codes() -> Vec<Code> {
    let others = [
        Code::RouteNotFound,
        Code::MethodNotAllowed,
        Code::NotAcceptable,
        Code::ReceiptMismatch,
        Code::ResultNotFound,
        Code::AdapterNotFound,
        Code::AdapterUnusable,
        Code::StorageUnavailable,
    ];
    all_but(&[&others[..], &IMAGES, JOBS].concat())
}

fn all_but(others: &[Code]) -> Vec<Code> {
    let codes = Code::ALL.iter().copied();
    let codes = codes.filter(|code| !KEYS.contains(code));
    codes.filter(|code| !others.contains(code)).collect()
}

/// Documents what every operation can answer.
pub struct AnyProblem;
/// Documents what an operation that needs the model can answer.
pub struct NotReadyProblem;
/// Documents what an edit can answer.
pub struct EditProblem;
/// Documents what an image edit can answer.
pub struct ImagesProblem;
/// Documents what a kept result can answer: what its edit could, or that there is none.
pub struct ResultProblem;
/// Documents what a score can answer.
pub struct ScoreProblem;

/// Documents what everything that is kept can answer.
pub struct StoredProblem;
/// Documents what a request about sets can answer.
pub struct DatasetProblem;
/// Documents what a request about one captured edit can answer.
pub struct CaptureProblem;
/// Documents what a request about jobs can answer.
pub struct JobProblem;
/// Documents what a request about kept adapters can answer.
pub struct StoredAdapterProblem;

type Responses = BTreeMap<String, RefOr<Response>>;

impl IntoResponses for AnyProblem {
    fn responses() -> Responses {
        document(ANY)
    }
}

impl IntoResponses for NotReadyProblem {
    fn responses() -> Responses {
        document(NOT_READY)
    }
}

impl IntoResponses for EditProblem {
    fn responses() -> Responses {
        document(&edit_codes())
    }
}

impl IntoResponses for ImagesProblem {
    fn responses() -> Responses {
        document(&images_codes())
    }
}

impl IntoResponses for ResultProblem {
    fn responses() -> Responses {
        document(&[&edit_codes()[..], &[Code::ResultNotFound]].concat())
    }
}

impl IntoResponses for ScoreProblem {
    fn responses() -> Responses {
        document(&score_codes())
    }
}

impl IntoResponses for StoredProblem {
    fn responses() -> Responses {
        document(STORED)
    }
}

impl IntoResponses for DatasetProblem {
    fn responses() -> Responses {
        document(&[STORED, BODY, DATASET].concat())
    }
}

impl IntoResponses for CaptureProblem {
    fn responses() -> Responses {
        document(&[STORED, CAPTURE].concat())
    }
}

impl IntoResponses for JobProblem {
    fn responses() -> Responses {
        document(&[STORED, BODY, DATASET, JOB].concat())
    }
}

impl IntoResponses for StoredAdapterProblem {
    fn responses() -> Responses {
        document(&[STORED, BODY, ADAPTER].concat())
    }
}

/// Documents codes beside those that are there.
pub fn add_codes(responses: &mut Responses, codes: &[Code]) {
    for (status, added) in document(codes) {
        match (responses.get_mut(&status), added) {
            (Some(RefOr::T(there)), RefOr::T(added)) => {
                if !there.description.contains(&added.description) {
                    there.description = format!("{} {}", there.description, added.description);
                }
                for (name, header) in added.headers {
                    there.headers.entry(name).or_insert(header);
                }
            }
            (_, added) => {
                responses.insert(status, added);
            }
        }
    }
}

fn document(codes: &[Code]) -> Responses {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status
            .entry(code.status().as_u16())
            .or_default()
            .push(*code);
    }
    by_status
        .into_iter()
        .map(|(status, codes)| (status.to_string(), RefOr::T(response(status, &codes))))
        .collect()
}

fn response(status: u16, codes: &[Code]) -> Response {
    let lines: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.name(), code.title()))
        .collect();
    let body = || Content::new(Some(Ref::from_schema_name("Problem")));
    let builder = ResponseBuilder::new()
        .description(lines.join(" "))
        .content("application/json", body())
        .content("application/problem+json", body())
        .header(
            "x-request-id",
            text_header("Id of this request, for the log."),
        );
    match status {
        401 => builder.header(
            "www-authenticate",
            text_header("How to authenticate (RFC 6750)."),
        ),
        429 => builder
            .header(
                "retry-after",
                number_header("Seconds until another attempt makes sense."),
            )
            .header(
                "ratelimit-limit",
                number_header("Requests of a minute; where they are limited."),
            )
            .header(
                "ratelimit-remaining",
                number_header("What is left of them."),
            )
            .header(
                "ratelimit-reset",
                number_header("Seconds until all of them are there again."),
            ),
        503 => builder.header(
            "retry-after",
            number_header("Seconds until another attempt makes sense."),
        ),
        _ => builder,
    }
    .build()
}

fn number_header(description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .schema(Some(u64::schema()))
        .description(Some(description))
        .build()
}

fn text_header(description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .schema(Some(Object::with_type(SchemaType::Type(Type::String))))
        .description(Some(description))
        .build()
}

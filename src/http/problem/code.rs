//! Every error that a client can meet: one line a code.
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// OpenAI's `error.type`, which its client libraries branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names)] // serde writes OpenAI's names from these
pub enum Kind {
    InvalidRequestError,
    AuthenticationError,
    PermissionError,
    NotFoundError,
    ConflictError,
    RateLimitError,
    OverloadedError,
    ServerError,
}

macro_rules! codes {
    ($($variant:ident => $name:literal, $status:literal, $kind:ident, $title:literal;)+) => {
        /// What went wrong, stable across versions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $(#[doc = $title] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The status of the answer.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => const { match StatusCode::from_u16($status) {
                        Ok(status) => status,
                        Err(_) => panic!("the table holds valid statuses"),
                    } }),+
                }
            }

            /// OpenAI's class of the error.
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind),+ }
            }

            /// One sentence, the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }
    };
}

codes! {
    MalformedJson => "malformed_json", 400, InvalidRequestError, "The body is not JSON.";
    MalformedMultipart => "malformed_multipart", 400, InvalidRequestError, "The body is not multipart form data.";
    InvalidRequest => "invalid_request", 400, InvalidRequestError, "Fields of the request cannot be used.";
    UnsupportedValue => "unsupported_value", 400, InvalidRequestError, "A value cannot be honoured here.";
    ImageUrlRefused => "image_url_refused", 400, InvalidRequestError, "The server does not fetch images from there.";
    UnsupportedParameter => "unsupported_parameter", 400, InvalidRequestError, "A parameter is not offered here.";
    TooManyImages => "too_many_images", 400, InvalidRequestError, "The model takes fewer images.";
    MaskSizeMismatch => "mask_size_mismatch", 400, InvalidRequestError, "The mask has another size than the image.";
    BodyInterrupted => "body_interrupted", 400, InvalidRequestError, "The body ended early.";
    MissingApiKey => "missing_api_key", 401, AuthenticationError, "The request has no key.";
    InvalidApiKey => "invalid_api_key", 401, AuthenticationError, "The key is unknown or revoked.";
    InsufficientScope => "insufficient_scope", 403, PermissionError, "The key is not for that.";
    RouteNotFound => "route_not_found", 404, NotFoundError, "There is nothing at this path.";
    ModelNotFound => "model_not_found", 404, NotFoundError, "The model is not loaded.";
    ResultNotFound => "result_not_found", 404, NotFoundError, "There is no such result, or it has expired.";
    AdapterNotFound => "adapter_not_found", 404, NotFoundError, "No adapter has that name.";
    JobNotFound => "job_not_found", 404, NotFoundError, "There is no such job.";
    CaptureNotFound => "capture_not_found", 404, NotFoundError, "There is no such captured edit.";
    DatasetNotFound => "dataset_not_found", 404, NotFoundError, "There is no such dataset.";
    FileNotFound => "file_not_found", 404, NotFoundError, "The job has no such file.";
    MethodNotAllowed => "method_not_allowed", 405, InvalidRequestError, "The path does not know this method.";
    NotAcceptable => "not_acceptable", 406, InvalidRequestError, "Nothing that Accept names can be produced.";
    RequestTimeout => "request_timeout", 408, InvalidRequestError, "The body arrived too slowly.";
    ReceiptMismatch => "receipt_mismatch", 409, ConflictError, "The receipt cannot be reproduced here.";
    JobStateConflict => "job_state_conflict", 409, ConflictError, "The job is not in a state for that.";
    DatasetInUse => "dataset_in_use", 409, ConflictError, "A job uses the dataset.";
    DatasetNameTaken => "dataset_name_taken", 409, ConflictError, "There is a dataset of that name.";
    AdapterInUse => "adapter_in_use", 409, ConflictError, "The adapter is in use.";
    AliasMoved => "alias_moved", 409, ConflictError, "The alias is not where the caller saw it.";
    RequestTooLarge => "request_too_large", 413, InvalidRequestError, "The body is over the limit.";
    ImageTooLarge => "image_too_large", 413, InvalidRequestError, "The image is over the limit.";
    UnsupportedMediaType => "unsupported_media_type", 415, InvalidRequestError, "The body is of a type that is not read here.";
    UnsupportedImageFormat => "unsupported_image_format", 422, InvalidRequestError, "The image is of a kind that is not read here.";
    ImageUndecodable => "image_undecodable", 422, InvalidRequestError, "The image cannot be decoded.";
    ImageUnusable => "image_unusable", 422, InvalidRequestError, "The image was read but cannot be used.";
    ImageUrlFailed => "image_url_failed", 422, InvalidRequestError, "The image could not be fetched.";
    QuestionUnusable => "question_unusable", 422, InvalidRequestError, "A question cannot be put to the judge.";
    AdapterUnusable => "adapter_unusable", 422, InvalidRequestError, "The adapter cannot be used with this model.";
    DatasetUnusable => "dataset_unusable", 422, InvalidRequestError, "The dataset cannot be used.";
    ArchiveUnusable => "archive_unusable", 422, InvalidRequestError, "The archive cannot be used.";
    IdempotencyKeyReused => "idempotency_key_reused", 422, InvalidRequestError, "The key came with another request before.";
    RateLimitExceeded => "rate_limit_exceeded", 429, RateLimitError, "The key has sent its requests of this minute.";
    ConcurrencyLimitExceeded => "concurrency_limit_exceeded", 429, RateLimitError, "The key has too many requests at once.";
    Internal => "internal", 500, ServerError, "The server failed.";
    JudgeNotConfigured => "judge_not_configured", 501, ServerError, "The server has no judge.";
    NotReady => "not_ready", 503, OverloadedError, "The model is not ready.";
    StorageUnavailable => "storage_unavailable", 503, OverloadedError, "What the server keeps cannot be reached.";
    Overloaded => "overloaded", 503, OverloadedError, "The queue is full.";
    DeadlineExceeded => "deadline_exceeded", 504, ServerError, "The request took too long.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_are_what_serde_writes() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
    }

    #[test]
    fn the_class_follows_the_status() {
        for code in Code::ALL {
            let expected = match code.status().as_u16() {
                401 => Kind::AuthenticationError,
                403 => Kind::PermissionError,
                404 => Kind::NotFoundError,
                429 => Kind::RateLimitError,
                409 => Kind::ConflictError,
                500 | 501 | 504 => Kind::ServerError,
                503 => Kind::OverloadedError,
                400..=499 => Kind::InvalidRequestError,
                status => panic!("{}: {status} has no class", code.name()),
            };
            assert_eq!(code.kind(), expected, "{}", code.name());
        }
    }
}

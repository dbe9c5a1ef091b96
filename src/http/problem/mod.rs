//! The one error body: RFC 9457 and OpenAI's envelope at once (pure problem+json makes OpenAI's clients lose the message).
mod access;
mod code;
mod convert;
mod documented;
mod jobs;
mod judge;

use std::sync::Arc;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

pub use code::{Code, Kind};
pub use documented::{
    AnyProblem, CaptureProblem, DatasetProblem, EditProblem, ImagesProblem, JobProblem,
    NotReadyProblem, ResultProblem, ScoreProblem, StoredAdapterProblem, StoredProblem, add_codes,
};
pub use judge::JudgedFields;

/// Field errors listed in one answer at most.
const MAX_LISTED: usize = 32;

/// One field that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body; a multipart part is addressed as if it were a JSON field.
    #[schema(example = "/steps")]
    pub pointer: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }

    /// The pointer as a dotted path, OpenAI's `param`.
    fn param(&self) -> String {
        let path = self.pointer.trim_start_matches('/').replace('/', ".");
        path.replace("~1", "/").replace("~0", "~")
    }
}

/// A request that was refused or failed.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_secs: Option<u64>,
    /// For the log alone.
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Wire form of a [`Problem`].
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Names the kind of problem: `urn:npedit:error:` and the code.
    #[schema(example = "urn:npedit:error:invalid_request")]
    r#type: String,
    title: &'static str,
    status: u16,
    /// What happened this time, and what to do next.
    detail: String,
    /// `/requests/` and the value of `x-request-id`.
    instance: String,
    /// Every field that cannot be used; empty where no field is at fault.
    errors: Vec<FieldError>,
    error: OpenAiError,
}

/// OpenAI's envelope.
#[derive(Debug, Serialize, ToSchema)]
struct OpenAiError {
    message: String,
    r#type: Kind,
    /// The first field at fault.
    param: Option<String>,
    code: Code,
}

impl Problem {
    /// `detail` says what happened and what to do next; of a 5xx it must say nothing internal.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_secs: None,
            cause: None,
        }
    }

    /// Fields that cannot be used; at least one.
    pub fn fields(code: Code, mut errors: Vec<FieldError>) -> Self {
        let found = errors.len();
        errors.truncate(MAX_LISTED);
        let mut lines: Vec<String> = errors
            .iter()
            .map(|error| format!("{}: {}", error.pointer, error.message))
            .collect();
        if found > MAX_LISTED {
            lines.push(format!("and {} more", found - MAX_LISTED));
        }
        Self {
            errors,
            ..Self::new(code, lines.join("; "))
        }
    }

    /// The same problem with its fields called otherwise, for a route that has other names; `names` are pointers.
    #[must_use]
    pub fn renamed(self, names: &[(&str, &str)]) -> Self {
        let named = |pointer: &str| names.iter().find(|(native, _)| *native == pointer);
        if !self
            .errors
            .iter()
            .any(|error| named(&error.pointer).is_some())
        {
            return self;
        }
        let errors = self.errors.into_iter().map(|error| {
            let pointer = named(&error.pointer).map(|(_, other)| (*other).to_owned());
            FieldError {
                pointer: pointer.unwrap_or(error.pointer),
                message: error.message,
            }
        });
        Self::fields(self.code, errors.collect())
    }

    /// A failure that is ours: the client learns nothing but the request id, the log gets `cause`.
    pub fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        let detail = "The server failed on this request; send it again, and if it fails again report the request id.";
        Self {
            cause: Some(Arc::new(cause)),
            ..Self::new(Code::Internal, detail)
        }
    }

    /// Asks the client to come back.
    pub fn retry_after(self, secs: u64) -> Self {
        Self {
            retry_after_secs: Some(secs),
            ..self
        }
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The cause with all its sources, for the log.
    pub fn cause_chain(&self) -> Option<String> {
        let mut cause: &dyn std::error::Error = self.cause.as_deref()?;
        let mut chain = cause.to_string();
        while let Some(source) = cause.source() {
            chain = format!("{chain}: {source}");
            cause = source;
        }
        Some(chain)
    }

    /// As it is sent to the client of the request with that id.
    pub fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            r#type: format!("urn:npedit:error:{}", self.code.name()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail.clone(),
            instance: format!("/requests/{request_id}"),
            errors: self.errors.clone(),
            error: OpenAiError {
                message: self.detail.clone(),
                r#type: self.code.kind(),
                param: self.errors.first().map(FieldError::param),
                code: self.code,
            },
        }
    }

    /// The final answer; `problem_json` is whether the client asked for `application/problem+json`.
    pub fn render(&self, request_id: &str, problem_json: bool) -> Response {
        let body = self.body(request_id);
        let content_type = if problem_json {
            "application/problem+json"
        } else {
            "application/json"
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, secs.into());
            headers.insert(
                HeaderName::from_static("retry-after-ms"),
                (secs * 1000).into(),
            );
        }
        match serde_json::to_vec(&body) {
            Ok(json) => (self.code.status(), headers, json).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

impl IntoResponse for Problem {
    /// Carries the problem outward; `access_log` renders it, for it knows the request's id and `Accept`.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_param_is_the_pointer_as_openai_writes_it() {
        assert_eq!(
            FieldError::new("/receipt/sigmas/2", "").param(),
            "receipt.sigmas.2"
        );
        assert_eq!(FieldError::new("/a~1b~0", "").param(), "a/b~");
    }

    #[test]
    fn a_flood_of_field_errors_is_cut_and_says_so() {
        let errors = (0..100).map(|i| FieldError::new(format!("/f{i}"), "is not known"));
        let problem = Problem::fields(Code::InvalidRequest, errors.collect());
        assert_eq!(problem.errors.len(), MAX_LISTED);
        assert!(
            problem.detail.ends_with("and 68 more"),
            "{}",
            problem.detail
        );
    }

    #[test]
    fn an_internal_problem_keeps_its_cause_for_the_log() {
        let problem = Problem::internal(std::io::Error::other("/secret/path is gone"));
        assert!(!problem.detail.contains("secret"));
        assert_eq!(
            problem.cause_chain().as_deref(),
            Some("/secret/path is gone")
        );
    }
}

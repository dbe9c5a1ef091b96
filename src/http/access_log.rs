//! The outermost layer: gives every request its id, writes its one log line, and renders its problem.
use std::time::Instant;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use uuid::Uuid;

use super::{
    accept::Accept,
    leftover,
    problem::{Code, Problem},
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_ID_BYTES: usize = 128;

/// A request that has not been answered; dropped unanswered, its client left.
struct Pending {
    id: HeaderValue,
    method: Method,
    path: String,
    start: Instant,
    answered: bool,
}

impl Pending {
    fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    /// The one line of this request.
    fn log(&mut self, status: u16, problem: Option<&Problem>) {
        self.answered = true;
        let (id, method, path) = (self.id(), &self.method, &self.path);
        let duration_ms = self.start.elapsed().as_millis() as u64;
        match problem {
            None => tracing::info!(request.id = id, %method, path, status, duration_ms, "answered"),
            Some(problem) => {
                let (code, detail) = (problem.code().name(), problem.detail());
                if status == 500 {
                    let cause = problem.cause_chain();
                    tracing::error!(request.id = id, %method, path, status, code, cause, duration_ms, "failed");
                } else {
                    tracing::info!(request.id = id, %method, path, status, code, detail, duration_ms, "refused");
                }
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            let (id, method, path) = (self.id(), &self.method, &self.path);
            let duration_ms = self.start.elapsed().as_millis() as u64;
            tracing::info!(request.id = id, %method, path, duration_ms, "the client left");
        }
    }
}

pub async fn access_log(request: Request, next: Next) -> Response {
    let accept = Accept::of(request.headers());
    let mut pending = Pending {
        id: request_id(request.headers()),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        start: Instant::now(),
        answered: false,
    };
    let (request, leftover) = leftover::lend(request);
    let mut response = next.run(request).await;
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        // A client that was too slow already has no more time.
        if problem.code() != Code::RequestTimeout {
            leftover.discard().await;
        }
        let mut rendered = problem.render(pending.id(), accept.wants_problem_json());
        for (name, value) in response.headers() {
            // `Allow` and the like stay; the body is another one.
            if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
                rendered.headers_mut().insert(name, value.clone());
            }
        }
        response = rendered;
    }
    pending.log(response.status().as_u16(), problem.as_ref());
    response
        .headers_mut()
        .insert(X_REQUEST_ID, pending.id.clone());
    response
}

/// The client's id if it is harmless in a log, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let harmless = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        (1..=MAX_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(allowed)
    };
    let given = headers.get(X_REQUEST_ID).filter(harmless).cloned();
    given.unwrap_or_else(|| {
        let id = format!("req_{}", Uuid::now_v7().simple());
        HeaderValue::try_from(id).expect("letters, digits and an underscore")
    })
}

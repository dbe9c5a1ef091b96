//! The outermost layer: gives every request its id, writes its one log line, and renders its problem.
use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use opentelemetry::{Context, context::FutureExt, propagation::Extractor};
use uuid::Uuid;

use super::{
    accept::Accept,
    guard::CallerName,
    leftover,
    problem::{Code, Problem},
    request_id::RequestId,
};
use crate::telemetry::traces;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const MAX_ID_BYTES: usize = 128;

/// A request that has not been answered; dropped unanswered, its client left.
struct Pending {
    id: HeaderValue,
    /// Of the client's `traceparent` (W3C Trace Context); empty where there is none.
    trace: String,
    method: Method,
    path: String,
    /// The route that took it, for metrics: few, whatever paths are asked for.
    route: String,
    /// Name of the key; empty before it is known, and where none is needed.
    caller: String,
    start: Instant,
    answered: bool,
    /// With its span.
    traced: Context,
}

impl Pending {
    fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    fn count(&self, status: &str) {
        let labels = [
            ("method", method_name(&self.method)),
            ("route", self.route.clone()),
            ("status", status.to_owned()),
        ];
        metrics::counter!("http_requests_total", &labels).increment(1);
        let time = self.start.elapsed().as_secs_f64();
        metrics::histogram!("http_request_seconds", "route" => self.route.clone()).record(time);
        traces::answered(&self.traced, self.id(), status);
    }

    /// The one line of this request.
    fn log(&mut self, status: u16, problem: Option<&Problem>) {
        self.answered = true;
        self.count(&status.to_string());
        let (id, method, path) = (self.id(), &self.method, &self.path);
        let (trace_id, caller) = (&*self.trace, &*self.caller);
        let duration_ms = self.start.elapsed().as_millis() as u64;
        match problem {
            None => {
                tracing::info!(request.id = id, trace_id, caller, %method, path, status, duration_ms, "answered")
            }
            Some(problem) => {
                let (code, detail) = (problem.code().name(), problem.detail());
                if status == 500 {
                    let cause = problem.cause_chain();
                    tracing::error!(request.id = id, trace_id, caller, %method, path, status, code, cause, duration_ms, "failed");
                } else {
                    tracing::info!(request.id = id, trace_id, caller, %method, path, status, code, detail, duration_ms, "refused");
                }
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            let (id, method, path) = (self.id(), &self.method, &self.path);
            let trace_id = &*self.trace;
            let duration_ms = self.start.elapsed().as_millis() as u64;
            tracing::info!(request.id = id, trace_id, %method, path, duration_ms, "the client left");
            self.count("499");
        }
    }
}

pub async fn access_log(mut request: Request, next: Next) -> Response {
    let accept = Accept::of(request.headers());
    let route = route(&request);
    let mut pending = Pending {
        id: request_id(request.headers()),
        trace: trace_id(request.headers()).unwrap_or_default(),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        traced: traced(&request, &route),
        route,
        caller: String::new(),
        start: Instant::now(),
        answered: false,
    };
    let id = RequestId(pending.id().to_owned());
    request.extensions_mut().insert(id);
    let (request, leftover) = leftover::lend(request);
    let answering = next.run(request).with_context(pending.traced.clone());
    let mut response = answering.await;
    let caller = response.extensions_mut().remove::<CallerName>();
    pending.caller = caller.map_or_else(String::new, |CallerName(name)| name);
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
                rendered.headers_mut().append(name, value.clone());
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

/// The trace that the request belongs to, where its `traceparent` is one: `00-TRACE-PARENT-FLAGS` in hexadecimal.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let parts: Vec<_> = headers
        .get(TRACEPARENT)?
        .to_str()
        .ok()?
        .split('-')
        .collect();
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let [_, trace, _, _] = parts[..] else {
        return None;
    };
    let valid =
        trace.len() == 32 && trace.bytes().all(hex) && trace.bytes().any(|byte| byte != b'0');
    valid.then(|| trace.to_owned())
}

/// A span in the trace of the client.
fn traced(request: &Request, route: &str) -> Context {
    let method = method_name(request.method());
    traces::request(&method, route, &Headers(request.headers()))
}

/// Headers as propagators read them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Clients may make up methods; metrics know only the usual ones.
fn method_name(method: &Method) -> String {
    let usual = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ];
    let known = usual.contains(method);
    let name = if known { method.as_str() } else { "other" };
    name.to_owned()
}

/// The pattern that the request's path matched.
fn route(request: &Request) -> String {
    let route = request.extensions().get::<MatchedPath>();
    route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned())
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

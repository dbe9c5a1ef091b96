//! Lets requests in: who sends them, whether they may, and whether not too many at a time.
use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};

use super::{
    HttpState,
    needs::{Needs, needs},
    problem::{Code, Problem},
};
use crate::access::{AccessError, Allowance, Caller, Presented, Secret};

const BEARER: &str = "bearer ";
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Name of whoever sent a request, on its way to the log.
#[derive(Clone, Debug)]
pub struct CallerName(pub String);

/// The layer around every route.
pub async fn guard(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    // what has no route tells nothing but that
    let needs = route.map_or(Needs::Nothing, |route| needs(route.as_str()));
    if needs == Needs::Nothing || needs == Needs::LocalOrAdmin && state.is_local {
        return next.run(request).await;
    }
    let caller = match caller(&state, request.headers(), needs).await {
        Ok(caller) => caller,
        Err(error) => return refused(error, needs),
    };
    let name = CallerName(caller.viewer.name().to_owned());
    let allowance = match state.access.count(&caller) {
        Ok(allowance) => allowance,
        Err(error) => return named(refused(error, needs), name),
    };
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let caller = match reads {
        true => caller,
        false => match state.access.enter(caller) {
            Ok(caller) => caller,
            Err(error) => return named(refused(error, needs), name),
        },
    };
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    if let Some(allowance) = allowance {
        tell(response.headers_mut(), allowance);
    }
    if caller.is_counted() {
        // a streamed answer runs until its end
        response = response.map(|body| Body::new(Held { body, caller }));
    }
    named(response, name)
}

async fn caller(
    state: &HttpState,
    headers: &HeaderMap,
    needs: Needs,
) -> Result<Caller, AccessError> {
    let caller = state.access.caller(&presented(headers)).await?;
    match needs.scope() {
        Some(scope) => caller.needs(scope).map(|()| caller),
        None => Ok(caller),
    }
}

fn presented(headers: &HeaderMap) -> Presented {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, more) = (values.next(), values.next());
    let Some(value) = value else {
        return Presented::Nothing;
    };
    let text = value.to_str().unwrap_or_default();
    let key = text.split_at_checked(BEARER.len());
    match key.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(BEARER)) {
        Some((_, key)) if more.is_none() => Presented::Key(Secret::sent(key.trim())),
        _ => Presented::Other,
    }
}

/// The refusal, with what RFC 6750 has beside it.
fn refused(error: AccessError, needs: Needs) -> Response {
    let allowance = match &error {
        AccessError::Rate(limited) => Some(limited.allowance),
        _ => None,
    };
    let problem = Problem::from(error);
    let challenge = match (problem.code(), needs.scope()) {
        (Code::MissingApiKey, _) => Some("Bearer realm=\"npedit\"".to_owned()),
        (Code::InvalidApiKey, _) => {
            Some("Bearer realm=\"npedit\", error=\"invalid_token\"".to_owned())
        }
        (Code::InsufficientScope, Some(scope)) => Some(format!(
            "Bearer realm=\"npedit\", error=\"insufficient_scope\", scope=\"{}\"",
            scope.name()
        )),
        _ => None,
    };
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(allowance) = allowance {
        tell(headers, allowance);
    }
    response
}

fn tell(headers: &mut HeaderMap, allowance: Allowance) {
    headers.insert(LIMIT, allowance.limit.into());
    headers.insert(REMAINING, allowance.remaining.into());
    headers.insert(RESET, allowance.reset_secs.into());
}

fn named(mut response: Response, name: CallerName) -> Response {
    response.extensions_mut().insert(name);
    response
}

/// No layer said who sends the request: a route outside of [`guard`].
#[derive(Debug, thiserror::Error)]
#[error("a route is not behind the guard")]
struct Unguarded;

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get().cloned();
        caller.ok_or_else(|| Problem::internal(Unguarded))
    }
}

/// A body that keeps its request's place until it is sent.
struct Held {
    body: Body,
    #[expect(dead_code, reason = "it is there to be dropped")]
    caller: Caller,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

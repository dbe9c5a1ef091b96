//! What browsers are told about every answer.
use axum::{
    http::{HeaderName, HeaderValue, Method, header},
    response::Response,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Nothing of an answer is run, framed, guessed at or kept; a page says for itself what it needs.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// What scripts of other origins may read beside the body.
const EXPOSED: [HeaderName; 18] = [
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
    HeaderName::from_static("x-edit-id"),
    HeaderName::from_static("x-edit-seed"),
    HeaderName::from_static("x-edit-model"),
    HeaderName::from_static("x-edit-timings-ms"),
    HeaderName::from_static("x-edit-warnings"),
    HeaderName::from_static("x-edit-scores"),
    HeaderName::from_static("x-edit-candidates"),
    HeaderName::from_static("x-edit-accepted"),
    HeaderName::from_static("x-edit-receipt"),
];

/// Adds what the answer does not say itself.
pub async fn headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// Lets pages of these origins call from a browser; without cookies, for there are none. `None` where none may.
pub fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origin = match origins {
        [] => return None,
        [any] if any == "*" => AllowOrigin::any(),
        some => AllowOrigin::list(some.iter().filter_map(|origin| origin.parse().ok())),
    };
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    let layer = CorsLayer::new().allow_origin(origin);
    let layer = layer.allow_methods(methods).allow_headers([
        header::AUTHORIZATION,
        header::ACCEPT,
        header::CONTENT_TYPE,
        HeaderName::from_static("prefer"),
        HeaderName::from_static("cancel-after"),
        HeaderName::from_static("idempotency-key"),
        HeaderName::from_static("last-event-id"),
        HeaderName::from_static("traceparent"),
        HeaderName::from_static("x-request-id"),
    ]);
    Some(layer.expose_headers(EXPOSED))
}

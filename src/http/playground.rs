//! The playground: the page at `/` and its files, which the binary carries.
use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing,
};
use rust_embed::{Embed, EmbeddedFile};

use super::{
    HttpState,
    problem::{Code, Problem},
    route_not_found,
};

/// Built into the binary.
#[derive(Embed)]
#[folder = "web"]
struct Files;

const PAGE: &str = "index.html";
/// The page loads nothing from elsewhere, runs nothing inline and cannot be framed. `blob:` and `data:` are its own pictures.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Kept, and asked about every time: a new binary is seen at once, and an unchanged file costs one short answer.
const CACHED: HeaderValue = HeaderValue::from_static("no-cache");

/// Routes beside the API: they are no part of its description.
pub fn routes() -> Router<HttpState> {
    Router::new()
        .route("/", routing::get(page))
        .route("/playground/{*path}", routing::get(file))
}

/// What a page that a browser shows is sent with, beside what every answer has.
pub fn guarded(policy: &'static str) -> [(HeaderName, HeaderValue); 3] {
    let fixed = HeaderValue::from_static;
    [
        (header::CONTENT_SECURITY_POLICY, fixed(policy)),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            fixed("same-origin"),
        ),
        (
            HeaderName::from_static("permissions-policy"),
            fixed("camera=(), microphone=(), geolocation=()"),
        ),
    ]
}

async fn page(headers: HeaderMap) -> Result<Response, Problem> {
    let page = Files::get(PAGE).ok_or_else(|| Problem::new(Code::RouteNotFound, MISSING))?;
    Ok((guarded(POLICY), answer(page, &headers)).into_response())
}

async fn file(Path(path): Path<String>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    match Files::get(&path) {
        Some(file) if path != PAGE => Ok((guarded(POLICY), answer(file, &headers)).into_response()),
        _ => Err(route_not_found(uri).await),
    }
}

const MISSING: &str = "This binary was built without the page; build it from a whole checkout.";

/// The file, or 304 where the client has it.
fn answer(file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash = file.metadata.sha256_hash();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{hash}\"");
    let kept = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut kept = kept.filter_map(|value| value.to_str().ok());
    let unchanged = kept.any(|tags| tags == "*" || tags.contains(&tag));
    let about = [
        (header::ETAG, HeaderValue::try_from(tag)),
        (header::CONTENT_TYPE, media_type(file.metadata.mimetype())),
    ];
    let about = about.map(|(name, value)| (name, value.expect("hexadecimal and media types")));
    let body = match unchanged {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => file.data.into_owned().into_response(),
    };
    (about, [(header::CACHE_CONTROL, CACHED)], body).into_response()
}

fn media_type(name: &str) -> Result<HeaderValue, axum::http::header::InvalidHeaderValue> {
    match name.starts_with("text/") {
        true => HeaderValue::try_from(format!("{name}; charset=utf-8")),
        false => HeaderValue::from_str(name),
    }
}

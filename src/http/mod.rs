//! Wire types and handlers: no tensor is seen here.
mod accept;
mod access_log;
mod adapters;
mod body;
mod captured;
mod datasets;
mod deadline;
mod description;
mod docs;
mod edit;
mod fetched;
mod fields;
mod finetune;
mod guard;
mod health;
mod image_field;
mod images;
mod json;
mod leftover;
mod metrics;
mod models;
mod multipart;
mod needs;
mod openapi;
mod playground;
mod problem;
mod request_id;
mod results;
mod score;
mod scores;
mod secured;
mod security;
mod server;
mod sse;
mod state;
mod timings;
mod upload;
mod warning;

use std::any::Any;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, Uri},
    middleware,
    response::{IntoResponse, Response},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::engine::EngineError;

pub use openapi::document;
pub use problem::{Code, Problem};
pub use score::{Images, ScoredItem};
pub use scores::JudgeBody;
pub use server::serve;
pub use state::HttpState;

/// Every route behind its layers.
pub fn router(state: HttpState) -> Router {
    let (router, _) = openapi::routes().split_for_parts();
    let router = router
        .merge(playground::routes())
        .merge(docs::routes())
        .fallback(route_not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // `body::read` bounds every body that is read.
        .layer(middleware::from_fn_with_state(state.clone(), guard::guard))
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(panicked));
    // before the guard: a browser asks without a key whether it may ask with one
    let router = match security::cors(&state.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router
        .layer(middleware::from_fn(access_log::access_log))
        .layer(middleware::map_response(security::headers))
        .with_state(state)
}

async fn route_not_found(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(
        Code::RouteNotFound,
        format!("There is nothing at {path}; GET /openapi.json lists the paths."),
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{} does not take {method}; the Allow header names what it takes.",
        uri.path()
    );
    Problem::new(Code::MethodNotAllowed, detail)
}

fn panicked(payload: Box<dyn Any + Send>) -> Response {
    Problem::internal(EngineError::panicked(&*payload)).into_response()
}

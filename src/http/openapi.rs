//! `GET /openapi.json`: the routes and their description, from one declaration.
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    HttpState, edit, health, images, metrics, models,
    problem::{AnyProblem, ProblemBody},
    score,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "npedit",
        description = "Edits images by instruction in a few denoising steps, and judges edits. Every error has the body `Problem`: RFC 9457 and OpenAI's envelope at once."
    ),
    components(schemas(ProblemBody)),
    tags(
        (name = "edit", description = "Edit images."),
        (name = "score", description = "Judge edits."),
        (name = "models", description = "What is loaded."),
        (name = "health", description = "For probes."),
    )
)]
struct Description;

/// Every route with its description.
pub fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(edit::edit))
        .routes(routes!(edit::result, edit::forget))
        .routes(routes!(images::edits))
        .routes(routes!(score::score))
        .routes(routes!(models::models))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi))
}

/// The description of the API.
pub fn document() -> utoipa::openapi::OpenApi {
    let (_, document): (Router<HttpState>, _) = routes().split_for_parts();
    document
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "health",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object), AnyProblem),
)]
pub async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}

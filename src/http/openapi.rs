//! `GET /openapi.json`: the routes and their description, from one declaration.
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    HttpState, adapters, captured, datasets, edit, finetune, health, images, metrics, models,
    problem::{AnyProblem, ProblemBody},
    score,
    secured::secured,
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
        (name = "datasets", description = "Photos and instructions to train on."),
        (name = "finetune", description = "Train adapters, as durable jobs."),
        (name = "adapters", description = "What jobs made, and the names that stand for it."),
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
        .routes(routes!(datasets::create, datasets::list))
        .routes(routes!(datasets::get, datasets::delete))
        .routes(routes!(captured::list, captured::empty))
        .routes(routes!(captured::forget))
        .routes(routes!(finetune::submit, finetune::list))
        .routes(routes!(finetune::get, finetune::delete))
        .routes(routes!(finetune::act))
        .routes(routes!(finetune::events))
        .routes(routes!(finetune::metrics))
        .routes(routes!(finetune::samples))
        .routes(routes!(finetune::sample))
        .routes(routes!(finetune::report))
        .routes(routes!(finetune::recipes))
        .routes(routes!(adapters::list))
        .routes(routes!(adapters::get, adapters::delete))
        .routes(routes!(adapters::weights))
        .routes(routes!(
            adapters::get_alias,
            adapters::put_alias,
            adapters::delete_alias
        ))
        .routes(routes!(models::models))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi))
}

/// The description of the API.
pub fn document() -> utoipa::openapi::OpenApi {
    let (_, document): (Router<HttpState>, _) = routes().split_for_parts();
    secured(document)
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

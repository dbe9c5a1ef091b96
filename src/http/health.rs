//! `GET /health/live`, `GET /health/ready`.
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    HttpState,
    problem::{AnyProblem, Code, NotReadyProblem, Problem},
};

/// State of the process or of the model.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `live` or `ready`.
    pub status: &'static str,
}

/// Whether the process answers at all.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    responses((status = 200, description = "The process is alive.", body = Health), AnyProblem),
)]
pub async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Whether edits are served; while the model loads or warms up, after it failed to load, or once the server is about to stop, a
/// 503 says so.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses((status = 200, description = "The model is loaded and warm.", body = Health), NotReadyProblem),
)]
pub async fn ready(State(state): State<HttpState>) -> Result<Json<Health>, Problem> {
    state.engine.profile()?;
    if state.draining() {
        let detail = "The server is about to stop; send requests to another one.";
        return Err(Problem::new(Code::NotReady, detail).retry_after(1));
    }
    Ok(Json(Health { status: "ready" }))
}

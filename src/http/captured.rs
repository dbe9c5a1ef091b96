//! `/v1/captured`: edits with low scores that are kept to be trained on.
use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    HttpState,
    datasets::{Deleted, secs},
    problem::{CaptureProblem, Problem, StoredProblem},
};
use crate::{access::Caller, jobs::Captured};

/// One kept edit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CapturedEdit)]
pub struct CapturedAnswer {
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// Of its picture.
    pub bytes: i64,
    pub instruction: String,
    pub edit_type: &'static str,
    /// Overall score of the best image that came out, 0..1.
    pub score: f64,
}

/// Every kept edit, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct CapturedList {
    /// `list`.
    pub object: &'static str,
    /// Whether edits are being kept (`capture.low_scores`).
    pub capturing: bool,
    pub data: Vec<CapturedAnswer>,
}

/// How many were taken away.
#[derive(Debug, Serialize, ToSchema)]
pub struct Emptied {
    pub deleted: usize,
}

impl From<Captured> for CapturedAnswer {
    fn from(captured: Captured) -> Self {
        Self {
            id: captured.id,
            created: secs(captured.created),
            bytes: captured.bytes,
            instruction: captured.edit.instruction,
            edit_type: captured.edit.edit_type.name(),
            score: captured.edit.score,
        }
    }
}

/// Edits whose judged score was low, kept where the operator turned that on.
///
/// `POST /v1/finetune` with `source: {"captured_since": SECONDS}` trains on them.
#[utoipa::path(
    get,
    path = "/v1/captured",
    tag = "datasets",
    responses((status = 200, description = "Newest first.", body = CapturedList), StoredProblem),
)]
pub async fn list(
    State(state): State<HttpState>,
    caller: Caller,
) -> Result<Json<CapturedList>, Problem> {
    let captures = &state.jobs.captures;
    let kept = captures.list(&caller.viewer).await?;
    Ok(Json(CapturedList {
        object: "list",
        capturing: captures.is_on(),
        data: kept.into_iter().map(Into::into).collect(),
    }))
}

/// Takes every kept edit away.
#[utoipa::path(
    delete,
    path = "/v1/captured",
    tag = "datasets",
    responses((status = 200, description = "They are gone.", body = Emptied), StoredProblem),
)]
pub async fn empty(
    State(state): State<HttpState>,
    caller: Caller,
) -> Result<Json<Emptied>, Problem> {
    let deleted = state.jobs.captures.forget_all(&caller.viewer).await?;
    Ok(Json(Emptied { deleted }))
}

/// Takes one kept edit away; sets that were made of it keep it.
#[utoipa::path(
    delete,
    path = "/v1/captured/{id}",
    tag = "datasets",
    params(("id" = String, Path, description = "Id of the kept edit.")),
    responses((status = 200, description = "It is gone.", body = Deleted), CaptureProblem),
)]
pub async fn forget(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, Problem> {
    state.jobs.captures.forget(&caller.viewer, &id).await?;
    Ok(Json(Deleted { id, deleted: true }))
}

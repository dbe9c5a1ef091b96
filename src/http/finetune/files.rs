//! What a job has written so far.
use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::seen;
use crate::{
    access::Caller,
    http::{
        HttpState,
        problem::{Code, JobProblem, Problem},
    },
};

/// Pictures of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct SampleList {
    /// `list`.
    pub object: &'static str,
    /// Names, oldest first: reference, the base's edit and the job's, a row each.
    pub data: Vec<String>,
}

/// Every step's metrics, one JSON object a line.
#[utoipa::path(
    get,
    path = "/v1/finetune/{id}/metrics",
    tag = "finetune",
    params(("id" = String, Path, description = "Id of the job.")),
    responses((status = 200, description = "Steps so far.", content((String = "application/x-ndjson"))), JobProblem),
)]
pub async fn metrics(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    seen(&state, &caller, &id).await?;
    let lines = state.jobs.queue.metrics(&id).await?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

/// Names of the grids that were drawn.
#[utoipa::path(
    get,
    path = "/v1/finetune/{id}/samples",
    tag = "finetune",
    params(("id" = String, Path, description = "Id of the job.")),
    responses((status = 200, description = "Grids so far.", body = SampleList), JobProblem),
)]
pub async fn samples(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<SampleList>, Problem> {
    seen(&state, &caller, &id).await?;
    Ok(Json(SampleList {
        object: "list",
        data: state.jobs.queue.files(&id, "samples").await?,
    }))
}

/// One grid: reference, the base's edit and the job's, a row each.
#[utoipa::path(
    get,
    path = "/v1/finetune/{id}/samples/{name}",
    tag = "finetune",
    params(
        ("id" = String, Path, description = "Id of the job."),
        ("name" = String, Path, description = "As the list has it."),
    ),
    responses((status = 200, description = "The grid.", content_type = "image/png", body = Vec<u8>), JobProblem),
)]
pub async fn sample(
    State(state): State<HttpState>,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    seen(&state, &caller, &id).await?;
    let known = state.jobs.queue.files(&id, "samples").await?;
    let found = match known.contains(&name) {
        true => {
            state
                .jobs
                .queue
                .file(&id, &format!("samples/{name}"))
                .await?
        }
        false => None,
    };
    let bytes = found.ok_or_else(not_yet)?;
    Ok(([(header::CONTENT_TYPE, "image/png")], bytes).into_response())
}

/// The page about an ended job.
#[utoipa::path(
    get,
    path = "/v1/finetune/{id}/report",
    tag = "finetune",
    params(("id" = String, Path, description = "Id of the job.")),
    responses((status = 200, description = "One HTML file.", content_type = "text/html", body = String), JobProblem),
)]
pub async fn report(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    seen(&state, &caller, &id).await?;
    let bytes = state.jobs.queue.file(&id, "report.html").await?;
    let bytes = bytes.ok_or_else(not_yet)?;
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], bytes).into_response())
}

fn not_yet() -> Problem {
    let detail =
        "The job has not written that, or not yet; look at its status and try again later.";
    Problem::new(Code::FileNotFound, detail)
}

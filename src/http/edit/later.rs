//! Edits whose clients come back for the answer: `Prefer: respond-async` (RFC 7240).
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{answer::EditAnswer, answered, run::Prepared};
use crate::{
    access::Caller,
    http::{
        HttpState,
        accept::Wanted,
        problem::{Code, Problem, ResultProblem},
        results,
    },
};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const RESPOND_ASYNC: &str = "respond-async";

/// An edit that is not answered yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pending {
    pub id: String,
    /// `running`: it waits or runs.
    pub status: &'static str,
    /// Where the answer will be.
    pub url: String,
}

impl Pending {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            status: "running",
            url: format!("/v1/edit/results/{id}"),
        }
    }
}

/// Whether the client asks not to wait.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PREFER).iter();
    let preferences = values.filter_map(|value| value.to_str().ok());
    let mut preferences = preferences.flat_map(|value| value.split(','));
    preferences.any(|preference| {
        let name = preference.split([';', '=']).next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(RESPOND_ASYNC)
    })
}

/// Starts the edit and answers where its answer will be.
pub fn begin(state: &HttpState, caller: Caller, prepared: Prepared, wanted: Wanted) -> Response {
    let id = format!("edit_{}", Uuid::now_v7().simple());
    let pending = Pending::new(&id);
    let (shared, work_id) = (state.clone(), id.clone());
    let viewer = caller.viewer.clone();
    // The work waits until it is noted.
    let (noted, go) = tokio::sync::oneshot::channel::<()>();
    let work = tokio::spawn(async move {
        let _ = go.await;
        let answer = answered(&shared, prepared, wanted).await;
        shared.results.finish(&work_id, answer).await;
        // until here the edit is one of those that its caller has at once
        drop(caller);
    });
    state.results.begin(&id, viewer.name(), work.abort_handle());
    let _ = noted.send(());
    let headers = [
        (header::LOCATION, pending.url.clone()),
        (PREFERENCE_APPLIED, RESPOND_ASYNC.to_owned()),
    ];
    (StatusCode::ACCEPTED, headers, Json(pending)).into_response()
}

/// The answer of an edit that was asked for with `Prefer: respond-async`.
///
/// Kept for a time that the server's settings say.
#[utoipa::path(
    get,
    path = "/v1/edit/results/{id}",
    tag = "edit",
    params(("id" = String, Path, description = "As the 202 named it.")),
    responses(
        (status = 200, description = "The answer, in the form that the edit's `Accept` asked for.",
            content(
                (EditAnswer = "application/json"),
                (super::raw::RawImage = "image/png"),
                (super::raw::RawImage = "image/jpeg"),
                (super::raw::RawImage = "image/webp"),
            )),
        (status = 202, description = "It waits or runs.", body = Pending,
            headers(("retry-after" = u64, description = "Seconds until another look makes sense."))),
        ResultProblem,
    ),
)]
pub async fn result(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    match state.results.get(&caller.viewer, &id) {
        None => Err(unknown()),
        Some(results::State::Running(_)) => {
            let headers = [(header::RETRY_AFTER, "1")];
            Ok((StatusCode::ACCEPTED, headers, Json(Pending::new(&id))).into_response())
        }
        Some(results::State::Failed(problem)) => Err(problem),
        Some(results::State::Done(headers, bytes)) => Ok((headers, bytes).into_response()),
    }
}

/// Forgets an edit and its answer; one that runs stops at its next step.
#[utoipa::path(
    delete,
    path = "/v1/edit/results/{id}",
    tag = "edit",
    params(("id" = String, Path, description = "As the 202 named it.")),
    responses((status = 204, description = "It is gone."), ResultProblem),
)]
pub async fn forget(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    match state.results.remove(&caller.viewer, &id) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(unknown()),
    }
}

fn unknown() -> Problem {
    let detail = "There is no such result, or it has expired; send the edit again.";
    Problem::new(Code::ResultNotFound, detail)
}

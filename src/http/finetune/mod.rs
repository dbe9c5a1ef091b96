//! `/v1/finetune`: jobs.
mod answer;
mod events;
mod files;
mod form;
mod recipes;

use axum::{
    Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    HttpState,
    datasets::Deleted,
    problem::{Code, FieldError, JobProblem, Problem},
    upload::Upload,
};
use crate::{
    access::Caller,
    jobs::{Action, Idempotency, Job, JobError, PAGE, Status, Submitted, datasets::Sent},
};
use answer::{JobAnswer, JobList, PlanAnswer};
use form::{FinetuneBody, FinetuneForm, PARTS, SentRows};

pub use events::{__path_events, events};
pub use files::{__path_metrics, __path_report, __path_sample, __path_samples};
pub use files::{metrics, report, sample, samples};
pub use recipes::{__path_recipes, recipes};

const KEY: &str = "idempotency-key";
const MAX_KEY_BYTES: usize = 255;

/// Trains an adapter from photos and instructions.
///
/// With `Idempotency-Key` the same request, however often it is sent, makes one job. With `validate_only` nothing is queued.
#[utoipa::path(
    post,
    path = "/v1/finetune",
    tag = "finetune",
    request_body(content((FinetuneBody = "application/json"))),
    responses(
        (status = 200, description = "What would be run, or the job that the same key made before.", body = PlanAnswer),
        (status = 201, description = "The job is queued.", body = JobAnswer),
        JobProblem,
    ),
)]
pub async fn submit(
    State(state): State<HttpState>,
    caller: Caller,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let upload = Upload::receive(request, &state.body_limits).await?;
    let FinetuneForm {
        mut request,
        rows,
        validate_only,
        fingerprint,
    } = upload
        .read(&state.engine, &PARTS, FinetuneForm::read)
        .await?;
    request.viewer = caller.viewer.clone();
    let once = idempotency(&headers, (&caller, fingerprint))?;
    let jobs = &state.jobs;
    if let Some(once) = &once
        && let Some(job) = jobs.queue.earlier(once).await?
    {
        return Ok(Json(JobAnswer::from(job)).into_response());
    }
    let made = match rows {
        SentRows::Kept => None,
        SentRows::Items(items) => Some(("items", items)),
        SentRows::Captured(since) => {
            let items = jobs.captures.items_since(&caller.viewer, since).await?;
            Some(("captured", items))
        }
    };
    if let Some((kind, items)) = made {
        let name = format!("{kind}-{}", uuid::Uuid::now_v7().simple());
        let set = jobs
            .datasets
            .create(&caller.viewer, &name, Sent::Items(items));
        let set = set.await?;
        request.dataset = set.id;
    }
    if validate_only {
        let prepared = jobs.prepare(&request).await?;
        let secs = jobs.queue.secs_per_step().await?;
        return Ok(Json(PlanAnswer::new(prepared, secs)).into_response());
    }
    match jobs.submit(&request, once.as_ref()).await? {
        Submitted::New(job) => {
            let place = format!("/v1/finetune/{}", job.id);
            let answer = Json(JobAnswer::from(job));
            Ok((StatusCode::CREATED, [(header::LOCATION, place)], answer).into_response())
        }
        Submitted::Again(job) => Ok(Json(JobAnswer::from(job)).into_response()),
    }
}

fn idempotency(
    headers: &HeaderMap,
    (caller, fingerprint): (&Caller, String),
) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = headers.get(KEY) else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) if (1..=MAX_KEY_BYTES).contains(&key.len()) => Ok(Some(Idempotency {
            owner: caller.viewer.name().to_owned(),
            key: key.to_owned(),
            fingerprint,
        })),
        _ => {
            let message =
                format!("the header Idempotency-Key must be 1 to {MAX_KEY_BYTES} ASCII characters");
            let error = FieldError::new("/idempotency_key", message);
            Err(Problem::fields(Code::InvalidRequest, vec![error]))
        }
    }
}

/// The job, where it is there for the caller.
async fn seen(state: &HttpState, caller: &Caller, id: &str) -> Result<Job, Problem> {
    let job = state.jobs.queue.job(id).await?;
    match caller.viewer.sees(&job.plan.owner) {
        true => Ok(job),
        false => Err(JobError::UnknownJob { id: id.into() }.into()),
    }
}

/// Which jobs are listed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only jobs in this state.
    status: Option<String>,
    /// Only jobs older than the one of this id: the last of the page before.
    after: Option<String>,
    /// Jobs of a page, 1 to 100.
    limit: Option<i64>,
}

/// Jobs, newest first.
#[utoipa::path(
    get,
    path = "/v1/finetune",
    tag = "finetune",
    params(ListQuery),
    responses((status = 200, description = "One page.", body = JobList), JobProblem),
)]
pub async fn list(
    State(state): State<HttpState>,
    caller: Caller,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<JobList>, Problem> {
    let refused = |message: String| {
        Problem::fields(
            Code::InvalidRequest,
            vec![FieldError::new("/query", message)],
        )
    };
    let Query(query) = query.map_err(|error| refused(error.body_text()))?;
    let status = match query
        .status
        .as_deref()
        .map(|name| (name, Status::of_name(name)))
    {
        Some((name, None)) => {
            let known = Status::ALL.map(Status::name).join(", ");
            return Err(refused(format!(
                "status must be one of {known}, not {name:?}"
            )));
        }
        Some((_, status)) => status,
        None => None,
    };
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let after = query.after.unwrap_or_default();
    let queue = &state.jobs.queue;
    let jobs = queue.list(&caller.viewer, status, &after, limit).await?;
    Ok(Json(JobList {
        object: "list",
        has_more: jobs.len() as i64 == limit,
        data: jobs.into_iter().map(Into::into).collect(),
    }))
}

/// One job.
#[utoipa::path(
    get,
    path = "/v1/finetune/{id}",
    tag = "finetune",
    params(("id" = String, Path, description = "Id of the job.")),
    responses((status = 200, description = "The job.", body = JobAnswer), JobProblem),
)]
pub async fn get(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<JobAnswer>, Problem> {
    Ok(Json(seen(&state, &caller, &id).await?.into()))
}

/// Cancels, pauses or resumes a job, or has it save a checkpoint or draw samples now.
#[utoipa::path(
    post,
    path = "/v1/finetune/{id}/{action}",
    tag = "finetune",
    params(
        ("id" = String, Path, description = "Id of the job."),
        ("action" = String, Path, description = "`cancel`, `pause`, `resume`, `save_now` or `sample_now`.", example = "cancel"),
    ),
    responses((status = 200, description = "The job as it is now; who runs it hears of it within a second.", body = JobAnswer), JobProblem),
)]
pub async fn act(
    State(state): State<HttpState>,
    caller: Caller,
    Path((id, action)): Path<(String, String)>,
) -> Result<Json<JobAnswer>, Problem> {
    const ACTIONS: [Action; 5] = [
        Action::Cancel,
        Action::Pause,
        Action::Resume,
        Action::SaveNow,
        Action::SampleNow,
    ];
    let Some(known) = ACTIONS.into_iter().find(|known| known.name() == action) else {
        let names = ACTIONS.map(Action::name).join(", ");
        let detail = format!("A job does not take that; it takes {names}.");
        return Err(Problem::new(Code::RouteNotFound, detail));
    };
    seen(&state, &caller, &id).await?;
    Ok(Json(state.jobs.queue.act(&id, known).await?.into()))
}

/// Takes an ended job away, with its events, samples and report; its adapter stays.
#[utoipa::path(
    delete,
    path = "/v1/finetune/{id}",
    tag = "finetune",
    params(("id" = String, Path, description = "Id of the job.")),
    responses((status = 200, description = "It is gone.", body = Deleted), JobProblem),
)]
pub async fn delete(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, Problem> {
    seen(&state, &caller, &id).await?;
    state.jobs.queue.delete(&id).await?;
    Ok(Json(Deleted { id, deleted: true }))
}

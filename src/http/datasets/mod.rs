//! `/v1/datasets`: instruction sets.
mod body;
mod form;

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    HttpState,
    body::MediaType,
    problem::{DatasetProblem, Problem, StoredProblem},
    upload::Upload,
};
use crate::{
    access::Caller,
    jobs::datasets::{Dataset, Report},
};
pub use body::DatasetItem;
use body::{DatasetBody, DatasetMultipart};

pub use form::items;

/// A kept set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dataset)]
pub struct DatasetAnswer {
    pub id: String,
    /// `dataset`.
    pub object: &'static str,
    pub name: String,
    /// Seconds since 1970.
    pub created: u64,
    pub report: Report,
}

/// Every set, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatasetList {
    /// `list`.
    pub object: &'static str,
    pub data: Vec<DatasetAnswer>,
}

/// What was taken away.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deleted {
    pub id: String,
    pub deleted: bool,
}

impl From<Dataset> for DatasetAnswer {
    fn from(dataset: Dataset) -> Self {
        Self {
            id: dataset.id,
            object: "dataset",
            name: dataset.name,
            created: secs(dataset.created),
            report: dataset.report,
        }
    }
}

/// Milliseconds to whole seconds.
pub fn secs(ms: i64) -> u64 {
    Duration::from_millis(ms.try_into().unwrap_or_default()).as_secs()
}

/// Keeps photos and instructions to train on.
///
/// As multipart: `file` is a zip, tar or tar.gz with one `.jsonl` or `.csv` file of rows beside the images that they name; or
/// `file` is that table and every `images` part one image. As JSON: rows with their images in base64. A row has `image` and
/// `instruction`, and where known `edited_caption`, `source_caption`, `edit_type` and `object`. Rows whose image does not
/// decode, and duplicates, are left out and reported. Where the service has a caption model, it is asked about rows that lack a
/// field before the rules are: `report.captions` says what it said, and rows whose instruction makes no sense for their picture are
/// not trained on. The answer then takes a while; the set is kept even where nobody waits for it.
#[utoipa::path(
    post,
    path = "/v1/datasets",
    tag = "datasets",
    request_body(content(
        (DatasetBody = "application/json"),
        (DatasetMultipart = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "The set is kept.", body = DatasetAnswer),
        DatasetProblem,
    ),
)]
pub async fn create(
    State(state): State<HttpState>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let upload = Upload::receive(request, &state.body_limits).await?;
    let form = match upload.media_type() {
        MediaType::Json => {
            upload
                .read(&state.engine, &form::NO_PARTS, form::of_fields)
                .await?
        }
        MediaType::Multipart => form::of_parts(upload.named_parts().await?)?,
    };
    let datasets = &state.jobs.datasets;
    let dataset = datasets.create(&caller.viewer, &form.name, form.sent);
    let dataset = dataset.await?;
    let place = format!("/v1/datasets/{}", dataset.id);
    let answer = Json(DatasetAnswer::from(dataset));
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], answer).into_response())
}

/// Every set.
#[utoipa::path(
    get,
    path = "/v1/datasets",
    tag = "datasets",
    responses((status = 200, description = "Newest first.", body = DatasetList), StoredProblem),
)]
pub async fn list(
    State(state): State<HttpState>,
    caller: Caller,
) -> Result<Json<DatasetList>, Problem> {
    let sets = state.jobs.datasets.list(&caller.viewer).await?;
    Ok(Json(DatasetList {
        object: "list",
        data: sets.into_iter().map(listed).collect(),
    }))
}

/// A set without what is said of each of its rows.
fn listed(mut dataset: Dataset) -> DatasetAnswer {
    if let Some(captions) = &mut dataset.report.captions {
        captions.rows.clear();
    }
    dataset.into()
}

/// One set with its report.
#[utoipa::path(
    get,
    path = "/v1/datasets/{id}",
    tag = "datasets",
    params(("id" = String, Path, description = "Id or name; `demo` is built in.", example = "demo")),
    responses((status = 200, description = "The set.", body = DatasetAnswer), DatasetProblem),
)]
pub async fn get(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DatasetAnswer>, Problem> {
    let dataset = state.jobs.datasets.dataset(&caller.viewer, &id).await?;
    Ok(Json(dataset.into()))
}

/// Takes a set away that no living job uses.
#[utoipa::path(
    delete,
    path = "/v1/datasets/{id}",
    tag = "datasets",
    params(("id" = String, Path, description = "Id or name.")),
    responses((status = 200, description = "It is gone.", body = Deleted), DatasetProblem),
)]
pub async fn delete(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, Problem> {
    state.jobs.datasets.delete(&caller.viewer, &id).await?;
    Ok(Json(Deleted { id, deleted: true }))
}

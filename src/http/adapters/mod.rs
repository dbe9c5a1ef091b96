//! `/v1/adapters`: what jobs made, and the names that stand for it.
use axum::{
    Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    HttpState,
    datasets::{Deleted, secs},
    fields::{Fields, Need},
    multipart::PartKinds,
    problem::{Code, FieldError, Problem, StoredAdapterProblem},
    upload::Upload,
};
use crate::{
    access::Caller,
    adapters::{Alias, Entry, Target},
};

/// One kept adapter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Adapter)]
pub struct AdapterAnswer {
    /// Hash of its content.
    pub id: String,
    /// `adapter`.
    pub object: &'static str,
    /// Seconds since 1970.
    pub created: u64,
    pub bytes: i64,
    /// Dataset, recipe, base, job and what the gate measured.
    pub lineage: Value,
    pub aliases: Vec<String>,
}

/// Every adapter, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdapterList {
    /// `list`.
    pub object: &'static str,
    pub data: Vec<AdapterAnswer>,
}

/// A name, and what it stands for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alias)]
pub struct AliasAnswer {
    pub name: String,
    /// Id of the adapter.
    pub adapter: String,
    /// Counts moves; 0 is a name that stands for nothing yet.
    pub version: i64,
}

/// Where an alias is to point.
#[derive(ToSchema)]
#[schema(as = AliasBody)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `put_alias` reads them"
)]
pub struct AliasBody {
    /// Id or alias of an adapter.
    pub adapter: String,
    /// The version that the caller saw; 0 where the name is to be new.
    pub version: i64,
}

impl From<Entry> for AdapterAnswer {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            object: "adapter",
            created: secs(entry.created),
            bytes: entry.bytes,
            lineage: entry.lineage,
            aliases: entry.aliases,
        }
    }
}

impl From<Alias> for AliasAnswer {
    fn from(alias: Alias) -> Self {
        Self {
            name: alias.name,
            adapter: alias.adapter,
            version: alias.version,
        }
    }
}

/// Every adapter.
#[utoipa::path(
    get,
    path = "/v1/adapters",
    tag = "adapters",
    responses((status = 200, description = "Newest first.", body = AdapterList), StoredAdapterProblem),
)]
pub async fn list(
    State(state): State<HttpState>,
    caller: Caller,
) -> Result<Json<AdapterList>, Problem> {
    let entries = state.jobs.registry.list(&caller.viewer).await?;
    Ok(Json(AdapterList {
        object: "list",
        data: entries.into_iter().map(Into::into).collect(),
    }))
}

/// One adapter with its lineage.
#[utoipa::path(
    get,
    path = "/v1/adapters/{id}",
    tag = "adapters",
    params(("id" = String, Path, description = "Id or alias.")),
    responses((status = 200, description = "The adapter.", body = AdapterAnswer), StoredAdapterProblem),
)]
pub async fn get(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<AdapterAnswer>, Problem> {
    let entry = state.jobs.registry.entry(&caller.viewer, &id).await?;
    Ok(Json(entry.into()))
}

/// Takes an adapter away that no alias stands for.
#[utoipa::path(
    delete,
    path = "/v1/adapters/{id}",
    tag = "adapters",
    params(("id" = String, Path, description = "Id.")),
    responses((status = 200, description = "It is gone.", body = Deleted), StoredAdapterProblem),
)]
pub async fn delete(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, Problem> {
    state.jobs.delete_adapter(&caller.viewer, &id).await?;
    Ok(Json(Deleted { id, deleted: true }))
}

/// Which program is to read the weights.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct WeightsQuery {
    /// `diffusers` (one safetensors file, where it is absent) or `peft` (a zip of two files).
    format: Option<String>,
}

/// The weights as another program reads them.
#[utoipa::path(
    get,
    path = "/v1/adapters/{id}/weights",
    tag = "adapters",
    params(("id" = String, Path, description = "Id or alias."), WeightsQuery),
    responses(
        (status = 200, description = "The file.", content((Vec<u8> = "application/octet-stream"), (Vec<u8> = "application/zip"))),
        StoredAdapterProblem,
    ),
)]
pub async fn weights(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
    query: Result<Query<WeightsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let refused = |message: String| {
        Problem::fields(
            Code::InvalidRequest,
            vec![FieldError::new("/format", message)],
        )
    };
    let Query(query) = query.map_err(|error| refused(error.body_text()))?;
    let target = match query.format.as_deref() {
        None | Some("diffusers") => Target::Diffusers,
        Some("peft") => Target::Peft,
        Some(_) => return Err(refused("must be diffusers or peft".into())),
    };
    let registry = &state.jobs.registry;
    let file = registry.download(&caller.viewer, &id, target).await?;
    let disposition = format!("attachment; filename=\"{}\"", file.name);
    let headers = [
        (header::CONTENT_TYPE, file.media_type.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, file.bytes).into_response())
}

/// What a name stands for.
#[utoipa::path(
    get,
    path = "/v1/adapters/aliases/{name}",
    tag = "adapters",
    params(("name" = String, Path, description = "1 to 64 of a-z, 0-9, '.', '_' and '-'.")),
    responses((status = 200, description = "The alias; version 0 where it stands for nothing.", body = AliasAnswer), StoredAdapterProblem),
)]
pub async fn get_alias(
    State(state): State<HttpState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<AliasAnswer>, Problem> {
    let alias = state.jobs.registry.alias(&caller.viewer, &name).await?;
    Ok(Json(alias.into()))
}

const PARTS: PartKinds = PartKinds {
    files: &[],
    values: &["version"],
    structures: &[],
};

/// Moves a name, provided that it is at the version that the caller saw.
#[utoipa::path(
    put,
    path = "/v1/adapters/aliases/{name}",
    tag = "adapters",
    params(("name" = String, Path, description = "1 to 64 of a-z, 0-9, '.', '_' and '-'.")),
    request_body(content((AliasBody = "application/json"))),
    responses((status = 200, description = "The alias as it is now.", body = AliasAnswer), StoredAdapterProblem),
)]
pub async fn put_alias(
    State(state): State<HttpState>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<AliasAnswer>, Problem> {
    let upload = Upload::receive(request, &state.body_limits).await?;
    let read = |mut fields: Fields<'_>| {
        let adapter = fields
            .text("adapter", Need::Required)
            .map(|text| text.into_owned());
        let version = fields.integer("version", Need::Required, 0..=i64::MAX as u64);
        let refused = |errors| Problem::fields(Code::InvalidRequest, errors);
        fields.finish().map_err(refused)?;
        Ok((adapter.unwrap_or_default(), version.unwrap_or_default()))
    };
    let (adapter, version) = upload.read(&state.engine, &PARTS, read).await?;
    let registry = &state.jobs.registry;
    let seen = Alias {
        version: version as i64,
        ..registry.alias(&caller.viewer, &name).await?
    };
    let moved = registry.move_alias(&caller.viewer, &seen, &adapter);
    Ok(Json(moved.await?.into()))
}

/// Takes a name away; its adapter stays.
#[utoipa::path(
    delete,
    path = "/v1/adapters/aliases/{name}",
    tag = "adapters",
    params(("name" = String, Path, description = "The alias.")),
    responses((status = 200, description = "It is gone.", body = Deleted), StoredAdapterProblem),
)]
pub async fn delete_alias(
    State(state): State<HttpState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Deleted>, Problem> {
    let registry = &state.jobs.registry;
    registry.delete_alias(&caller.viewer, &name).await?;
    Ok(Json(Deleted {
        id: name,
        deleted: true,
    }))
}

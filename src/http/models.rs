//! `GET /v1/models`.
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    HttpState,
    edit::{Dtypes, device_name},
    problem::{NotReadyProblem, Problem},
};

/// OpenAI's list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// `list`.
    pub object: &'static str,
    pub data: Vec<Model>,
}

/// A loaded model.
#[derive(Debug, Serialize, ToSchema)]
pub struct Model {
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// When the server started, in seconds since 1970.
    pub created: u64,
    /// `npedit`.
    pub owned_by: &'static str,
    /// SHA-256 of the model's files, as in a receipt.
    pub sha256: String,
    pub device: String,
    pub dtype: Dtypes,
    /// Steps of a request that names none.
    pub default_steps: usize,
    /// Square pixels that an edit works at.
    pub target_area_px: u64,
    pub limits: Limits,
}

/// What this server accepts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Limits {
    pub max_body_bytes: usize,
    pub max_image_bytes: usize,
    pub max_image_pixels: u64,
    pub max_image_side_px: u32,
    pub instruction_max_bytes: usize,
    pub max_n: u64,
    pub max_steps: u64,
}

/// The model that edits, and its limits.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "models",
    responses((status = 200, description = "The loaded models.", body = ModelList), NotReadyProblem),
)]
pub async fn models(State(state): State<HttpState>) -> Result<Json<ModelList>, Problem> {
    let profile = state.engine.profile()?;
    let (identity, limits) = (&profile.identity, &state.form_limits);
    Ok(Json(ModelList {
        object: "list",
        data: vec![Model {
            id: identity.name.clone(),
            object: "model",
            created: state.started,
            owned_by: "npedit",
            sha256: identity.sha256.clone(),
            device: device_name(identity.device).to_owned(),
            dtype: (&identity.dtypes).into(),
            default_steps: profile.default_steps,
            target_area_px: profile.target_area_px,
            limits: Limits {
                max_body_bytes: state.body_limits.max_bytes,
                max_image_bytes: limits.images.max_bytes,
                max_image_pixels: limits.images.max_pixels,
                max_image_side_px: limits.images.max_side_px,
                instruction_max_bytes: limits.instruction_max_bytes,
                max_n: limits.max_n,
                max_steps: limits.max_steps,
            },
        }],
    }))
}

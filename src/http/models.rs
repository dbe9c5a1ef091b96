//! `GET /v1/models`.
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    HttpState,
    edit::{Dtypes, device_name},
    problem::{NotReadyProblem, Problem},
};
use crate::engine::{JudgeProfile, Profile};

/// OpenAI's list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// `list`.
    pub object: &'static str,
    /// The editor, then the judge if there is one.
    pub data: Vec<LoadedModel>,
}

/// A loaded model.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum LoadedModel {
    Editor(Box<Model>),
    Judge(JudgeModel),
}

/// The model that judges.
#[derive(Debug, Serialize, ToSchema)]
pub struct JudgeModel {
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// `judge`.
    pub role: &'static str,
    /// When the server started, in seconds since 1970.
    pub created: u64,
    /// `npedit`.
    pub owned_by: &'static str,
    /// SHA-256 of the judge's files.
    pub sha256: String,
    pub device: String,
    pub dtype: String,
    pub limits: JudgeLimits,
}

/// What this server accepts for its judge.
#[derive(Debug, Serialize, ToSchema)]
pub struct JudgeLimits {
    pub max_questions: usize,
    pub question_max_bytes: usize,
    pub max_items: usize,
    pub max_best_of: u64,
}

/// The model that edits.
#[derive(Debug, Serialize, ToSchema)]
pub struct Model {
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// `editor`.
    pub role: &'static str,
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

/// The loaded models, and their limits.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "models",
    responses((status = 200, description = "The loaded models.", body = ModelList), NotReadyProblem),
)]
pub async fn models(State(state): State<HttpState>) -> Result<Json<ModelList>, Problem> {
    let profile = state.engine.profile()?;
    let judge = profile.judge.as_ref();
    let judge = judge.map(|judge| judge_model(&state, &profile, judge));
    let editor = LoadedModel::Editor(Box::new(editor_model(&state, &profile)));
    Ok(Json(ModelList {
        object: "list",
        data: std::iter::once(editor)
            .chain(judge.map(LoadedModel::Judge))
            .collect(),
    }))
}

fn editor_model(state: &HttpState, profile: &Profile) -> Model {
    let (identity, limits) = (&profile.identity, &state.form_limits);
    Model {
        id: identity.name.clone(),
        object: "model",
        role: "editor",
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
    }
}

fn judge_model(state: &HttpState, profile: &Profile, judge: &JudgeProfile) -> JudgeModel {
    let limits = &state.score_limits;
    JudgeModel {
        id: judge.identity.name.clone(),
        object: "model",
        role: "judge",
        created: state.started,
        owned_by: "npedit",
        sha256: judge.identity.sha256.clone(),
        device: device_name(profile.identity.device).to_owned(),
        dtype: judge.dtype.clone(),
        limits: JudgeLimits {
            max_questions: limits.max_questions,
            question_max_bytes: limits.question_max_bytes,
            max_items: limits.max_items,
            max_best_of: state.form_limits.max_best_of,
        },
    }
}

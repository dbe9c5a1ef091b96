//! `GET /v1/recipes`: what a job can name.
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{
    HttpState,
    problem::{AnyProblem, Problem},
};

/// Every recipe.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecipeList {
    /// `list`.
    pub object: &'static str,
    pub data: Vec<NamedRecipe>,
}

/// A recipe that `POST /v1/finetune` takes as `recipe`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recipe)]
pub struct NamedRecipe {
    #[schema(example = "np-edit-zimage")]
    pub name: String,
    /// `recipe`.
    pub object: &'static str,
}

/// Recipes that jobs can name: the built-in ones and those of the service's own directory.
#[utoipa::path(
    get,
    path = "/v1/recipes",
    tag = "finetune",
    responses((status = 200, description = "By name.", body = RecipeList), AnyProblem),
)]
pub async fn recipes(State(state): State<HttpState>) -> Result<Json<RecipeList>, Problem> {
    let recipes = state.jobs.recipes.clone();
    let names = state.engine.blocking(move || recipes.names()).await?;
    let named = names.into_iter().map(|name| NamedRecipe {
        name,
        object: "recipe",
    });
    Ok(Json(RecipeList {
        object: "list",
        data: named.collect(),
    }))
}

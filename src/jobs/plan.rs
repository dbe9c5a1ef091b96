//! What a job is to do, as it was asked for and compiled.
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::storage::ANONYMOUS;

/// Everything that a worker needs to know; the same whichever machine reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Whose job it is.
    #[serde(default = "anonymous")]
    pub owner: String,
    /// Id of the dataset.
    pub dataset: String,
    /// Id of the dataset that is replayed.
    #[serde(default)]
    pub replay: Option<String>,
    /// Id of the adapter that it goes on from.
    #[serde(default)]
    pub base_adapter: Option<String>,
    /// What the recipe is called.
    pub recipe: String,
    /// What was asked for over it.
    pub overrides: Map<String, Value>,
    /// The recipe's text with everything that a job sets.
    pub recipe_toml: String,
    /// Share of the rows that are not trained on, 0..1.
    pub holdout: f64,
    /// Alias that a better adapter gets.
    pub publish_as: Option<String>,
}

/// Plans that were made before there were owners.
fn anonymous() -> String {
    ANONYMOUS.to_owned()
}

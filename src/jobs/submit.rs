//! A request for a job, compiled: everything that can be refused is refused before it waits.
use serde_json::{Map, Value};

use super::{
    Idempotency, JobError, JobResult, Jobs, Plan, Submitted, Viewer, datasets::Dataset,
    recipes::FINETUNE_DEMO,
};
use crate::{
    config::Issue,
    training::recipe::{Recipe, Tuning},
};

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FinetuneRequest {
    /// Whose job it will be.
    pub viewer: Viewer,
    /// Id or name.
    pub dataset: String,
    /// [`FINETUNE_DEMO`] where none is named.
    pub recipe: Option<String>,
    /// As [`super::OVERRIDES`], with `weights` and `holdout`.
    pub overrides: Map<String, Value>,
    /// Id or alias of the adapter that is trained on.
    pub base_adapter: Option<String>,
    pub publish_as: Option<String>,
}

/// A request that can be run.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub dataset: Dataset,
    pub plan: Plan,
    pub recipe: Recipe,
    /// Rows that will be trained on, and rows that will judge.
    pub rows: (u64, u64),
}

const HOLDOUT: &str = "holdout";

impl Jobs {
    /// Compiles a request.
    ///
    /// # Errors
    /// An unknown dataset, adapter or recipe, a dataset without rows, every mistake of the overrides, or no storage.
    pub async fn prepare(&self, request: &FinetuneRequest) -> JobResult<Prepared> {
        if let Some(name) = &request.publish_as {
            self.registry.alias(&request.viewer, name).await?;
        }
        let mut overrides = request.overrides.clone();
        let holdout = match overrides.remove(HOLDOUT) {
            None => self.settings.holdout,
            Some(value) => value
                .as_f64()
                .filter(|share| (0.0..=0.9).contains(share))
                .ok_or_else(|| wrong_holdout(&value))?,
        };
        let name = request.recipe.as_deref().unwrap_or(FINETUNE_DEMO);
        let start = match &request.base_adapter {
            None => None,
            Some(name) => {
                let entry = self.registry.entry(&request.viewer, name).await?;
                Some(self.registry.adapter(&entry.id).await?)
            }
        };
        let recipe = self.recipes.compile(name, &overrides, start.as_ref())?;
        let dataset = self.trainable(request, &request.dataset).await?;
        let replay = match &recipe.replay {
            None => None,
            Some(name) => Some(self.trainable(request, name).await?.id),
        };
        let held = held_out(dataset.report.rows, holdout);
        let plan = Plan {
            owner: request.viewer.name().to_owned(),
            dataset: dataset.id.clone(),
            replay,
            base_adapter: start.map(|adapter| adapter.id().to_string()),
            recipe: name.to_owned(),
            overrides: request.overrides.clone(),
            recipe_toml: recipe.toml,
            holdout,
            publish_as: request.publish_as.clone(),
        };
        Ok(Prepared {
            rows: (dataset.report.rows - held, held),
            dataset,
            plan,
            recipe: recipe.loaded.recipe,
        })
    }

    async fn trainable(&self, request: &FinetuneRequest, name: &str) -> JobResult<Dataset> {
        let dataset = self.datasets.dataset(&request.viewer, name).await?;
        match dataset.report.rows {
            0 => Err(JobError::NothingToTrainOn { name: dataset.name }),
            _ => Ok(dataset),
        }
    }

    /// Compiles a request and queues it.
    ///
    /// # Errors
    /// See [`Self::prepare`]; a key that came with another request.
    pub async fn submit(
        &self,
        request: &FinetuneRequest,
        once: Option<&Idempotency>,
    ) -> JobResult<Submitted> {
        let prepared = self.prepare(request).await?;
        let steps = prepared.recipe.steps;
        self.queue.submit(&prepared.plan, steps, once).await
    }
}

/// Rows of `rows` that are kept back: at least one where any are asked for and one is left to train on.
pub(super) fn held_out(rows: u64, share: f64) -> u64 {
    if share <= 0.0 || rows < 2 {
        return 0;
    }
    ((rows as f64 * share).round() as u64).clamp(1, rows - 1)
}

impl Prepared {
    /// Rank of the adapter that will come out.
    pub fn rank(&self) -> usize {
        match &self.recipe.tuning {
            Tuning::Lora(lora) => lora.rank,
            Tuning::Full => 0,
        }
    }
}

fn wrong_holdout(value: &Value) -> JobError {
    JobError::Recipe {
        issues: vec![Issue {
            key: HOLDOUT.into(),
            value: value.to_string(),
            layer: "request".into(),
            advice: "must be a number from 0 to 0.9".into(),
        }],
    }
}

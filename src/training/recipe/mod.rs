//! A training recipe: typed and validated like the settings.
mod choices;
mod compile;
mod component;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

pub use self::{
    choices::{StageChoice, TuningChoice},
    component::{Component, ComponentRecipe, LabelledChoice},
};
use super::{
    guard::Guard,
    learning_rate::LearningRate,
    losses::dmd::Normaliser,
    optimiser::{AdamWSettings, Hidden},
    order::Shares,
    stages::np_edit::{AnswerLoss, Guidance, Weights},
    trainer::Course,
    tuning::Memory,
    unroll::GradientThrough,
};
use crate::{
    config::{Issue, Layers},
    pipelines::{judge::Overall, questions::EditType},
};

/// Every key with its default.
pub const DEFAULTS: &str = include_str!("../../../configs/recipes/default.toml");

/// What is to be trained, on what, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub stage: StageChoice,
    /// At least 1.
    pub steps: u64,
    pub seed: u64,
    pub model: ModelChoice,
    pub data: Data,
    pub batch: Batch,
    pub tuning: Tuning,
    pub memory: Memory,
    pub cache_bytes: usize,
    pub optimiser: OptimiserChoice,
    pub unroll: UnrollChoice,
    pub losses: Losses,
    pub guidance: Guidance,
    pub fake_score: FakeScore,
    pub flow: Flow,
    pub grpo: Grpo,
    pub checkpoint_every: u64,
    pub samples: Samples,
}

/// A recipe, and who set each of its keys.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub recipe: Recipe,
    pub layers: Layers,
}

/// Which models; `None` is what the settings say.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelChoice {
    pub reference: Option<String>,
    pub generator: Option<String>,
    pub judge: Option<String>,
    /// Whose branches training goes on from.
    pub adapter: Option<PathBuf>,
    /// Weights of the perceptual distance.
    pub lpips: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    pub rows: PathBuf,
    pub replay: Option<PathBuf>,
    pub shares: Shares,
    /// Empty: every row once an epoch.
    pub mix: BTreeMap<EditType, f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    pub size: usize,
    pub micro: usize,
    /// Passes that run at the same time.
    pub at_once: usize,
    /// Items of one pass of decoder and judge at most.
    pub judged: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Tuning {
    Lora(LoraChoice),
    Full,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LoraChoice {
    pub rank: usize,
    pub alpha: f64,
    /// Names of layers, or ends of them.
    pub targets: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OptimiserChoice {
    /// With the peak learning rate.
    pub adam: AdamWSettings,
    /// What Muon moves instead.
    pub hidden: Hidden,
    pub learning_rate: LearningRate,
    pub clip_norm: f64,
    pub guard: Guard,
    pub ema_decay: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnrollChoice {
    pub depth: usize,
    pub gradient_through: GradientThrough,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    pub weights: Weights,
    pub answer: AnswerLoss,
    /// Steps until the judge's answers count in full.
    pub ramp_steps: u64,
    pub identity_question: bool,
    pub normaliser: Normaliser,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeScore {
    pub updates: u32,
    pub learning_rate: f64,
    pub tuning: Tuning,
}

/// Of the stages without a judge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    pub shift: f64,
    pub text_dropout: f64,
    pub logit_normal_weight: bool,
}

/// Of the stage with rewards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grpo {
    /// Edits of every row, at least 2.
    pub group: usize,
    /// At least 2.
    pub sampling_steps: usize,
    pub noise_level: f64,
    /// How the judge's probabilities become one number.
    pub reward: Overall,
    /// Optimiser steps on every batch, at least 1.
    pub updates: u64,
    pub clip_range: f64,
    /// What the divergence from the base counts.
    pub kl: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Samples {
    /// `None`: only at the end.
    pub every: Option<u64>,
    pub rows: usize,
}

/// The recipe cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeError(pub Vec<Issue>);

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 mistake in the recipe:")?,
            count => write!(f, "{count} mistakes in the recipe:")?,
        }
        self.0
            .iter()
            .try_for_each(|issue| write!(f, "\n  {issue}"))?;
        write!(f, "\nconfigs/recipes/default.toml explains every key")
    }
}

impl std::error::Error for RecipeError {}

impl Recipe {
    /// The part that every stage has.
    pub fn course(&self) -> Course {
        Course {
            steps: self.steps,
            seed: self.seed,
            optimiser: self.optimiser.clone(),
        }
    }

    /// # Errors
    /// Every mistake at once, each with its key.
    pub fn read(path: &Path) -> Result<Loaded, RecipeError> {
        let (layers, issues) = Layers::over(DEFAULTS, path);
        let folder = path.parent().unwrap_or(Path::new("."));
        let recipe = compile::compile(&layers, issues, folder).map_err(RecipeError)?;
        Ok(Loaded { recipe, layers })
    }
}

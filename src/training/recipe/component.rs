//! The recipe of a part of the tiny bundle that is trained on scenes alone.
use std::path::{Path, PathBuf};

use super::{RecipeError, compile};
use crate::{
    config::{Choice, Layers, Reader},
    models::files::JUDGE,
    training::{stages::autoencoder::AutoencoderLoss, trainer::Course},
};

/// Every key with its default.
pub const COMPONENT_DEFAULTS: &str = include_str!("../../../configs/recipes/tiny/default.toml");

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    Autoencoder,
    TextEncoder,
    Judge,
}

impl Choice for Component {
    const ALL: &'static [(&'static str, Self)] = &[
        ("autoencoder", Self::Autoencoder),
        ("text_encoder", Self::TextEncoder),
        ("judge", Self::Judge),
    ];
}

impl Component {
    /// Its directory in a bundle, and the name of its weights there, as diffusers and transformers have them.
    pub fn place(self) -> [&'static str; 2] {
        match self {
            Self::Autoencoder => ["vae", "diffusion_pytorch_model.safetensors"],
            Self::TextEncoder => ["text_encoder", "model.safetensors"],
            Self::Judge => [JUDGE, "model.safetensors"],
        }
    }
}

/// Which labelled edits a judge sees beside those that the world draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledChoice {
    pub list: PathBuf,
    /// Edits of a step.
    pub size: usize,
    /// Edits that `npedit world build` has the bundle's editor attempt where there is no such list yet.
    pub attempts: u64,
}

/// How a part is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentRecipe {
    pub component: Component,
    pub course: Course,
    /// Scenes, or texts, of a step.
    pub batch: usize,
    /// Pixels a side of a scene.
    pub side: u32,
    pub autoencoder: AutoencoderLoss,
    /// Of the judge: edits that somebody labelled.
    pub labelled: Option<LabelledChoice>,
    pub checkpoint_every: u64,
}

impl ComponentRecipe {
    /// # Errors
    /// Every mistake at once, each with its key.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let (layers, issues) = Layers::over(COMPONENT_DEFAULTS, path);
        let mut read = Reader::new(&layers, issues);
        let most = compile::MOST;
        let weight = 0.0..=compile::MOST_WEIGHT;
        let recipe = Self {
            component: read.choice("component"),
            course: Course {
                steps: read.integer("steps", 1..=most),
                seed: read.integer("seed", 0..=i64::MAX),
                optimiser: compile::optimiser(&mut read),
            },
            batch: read.integer("batch.size", 1..=4096),
            side: read.integer("scenes.side", 16..=512),
            autoencoder: AutoencoderLoss {
                latent_noise: read.number("autoencoder.latent_noise", 0.0..=10.0),
                edges: read.number("autoencoder.edges", weight.clone()),
                size: read.number("autoencoder.size", weight),
            },
            labelled: read
                .optional_text("labelled.list")
                .map(|list| LabelledChoice {
                    list: path.parent().unwrap_or(Path::new(".")).join(list),
                    size: read.integer("labelled.size", 1..=4096),
                    attempts: read.integer("labelled.attempts", 1..=100_000),
                }),
            checkpoint_every: read.integer("checkpoint.every", 1..=most),
        };
        read.finish(recipe).map_err(RecipeError)
    }
}

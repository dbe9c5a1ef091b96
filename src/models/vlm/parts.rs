//! What every family's loading has in common.
use serde::Deserialize;

use super::{chat::Style, pixels::Normalisation, tower::VisionTower};
use crate::{
    models::{
        decoder::{Config, Decoder},
        error::{LoadError, LoadResult},
        folder::Folder,
        weights::Weights,
    },
    nn::Compute,
};

/// A family's own half of a model.
pub(super) struct Parts {
    pub tower: Box<dyn VisionTower>,
    pub decoder: Decoder,
    pub image_token: u32,
    pub style: Style,
}

/// How a checkpoint names its modules.
pub(super) enum Names {
    /// Published checkpoints: towers at the root, the decoder's model and head below `language_model`.
    Hub,
    /// As transformers v5 writes them: everything but the head below `model`.
    V5,
}

impl Names {
    pub(super) fn of(weights: &Weights) -> Self {
        if weights.contains("model.language_model.embed_tokens.weight") {
            Self::V5
        } else {
            Self::Hub
        }
    }

    /// The full name of a module beside the decoder.
    pub(super) fn below(&self, module: &str) -> String {
        match self {
            Self::Hub => module.into(),
            Self::V5 => format!("model.{module}"),
        }
    }

    pub(super) fn decoder(
        &self,
        config: &Config,
        weights: &Weights,
        compute: &Compute,
    ) -> LoadResult<Decoder> {
        let (body, head) = match self {
            Self::Hub => ("language_model.model", "language_model"),
            Self::V5 => ("model.language_model", ""),
        };
        Decoder::load(
            config,
            &weights.scope(body, compute),
            &weights.scope(head, compute),
        )
    }
}

/// Whether a config file says what a family needs, of which key, what it says, and what is expected.
pub(super) type Rule = (bool, &'static str, String, &'static str);

/// The first of `rules` about `file` that does not hold is an error.
pub(super) fn check(
    folder: &Folder,
    file: &str,
    rules: impl IntoIterator<Item = Rule>,
) -> LoadResult<()> {
    match rules.into_iter().find(|(holds, ..)| !holds) {
        None => Ok(()),
        Some((_, key, value, expected)) => Err(LoadError::Config {
            file: folder.name(file),
            key,
            value,
            expected: expected.into(),
        }),
    }
}

/// What `preprocessor_config.json` says in every family.
#[derive(Clone, Debug)]
pub(super) struct Preprocessor {
    pub normalisation: Normalisation,
}

#[derive(Deserialize)]
struct Settings {
    image_mean: [f64; 3],
    image_std: [f64; 3],
    /// Pillow's number of the filter.
    #[serde(default = "bicubic")]
    resample: u8,
}

const BICUBIC: u8 = 3;

fn bicubic() -> u8 {
    BICUBIC
}

impl Preprocessor {
    pub(super) const FILE: &str = "preprocessor_config.json";

    pub(super) fn read(folder: &Folder) -> LoadResult<Self> {
        let settings: Settings = folder.json(Self::FILE)?;
        check(
            folder,
            Self::FILE,
            [
                (
                    settings.resample == BICUBIC,
                    "resample",
                    settings.resample.to_string(),
                    "3, bicubic",
                ),
                (
                    settings.image_std.iter().all(|std| *std > 0.0),
                    "image_std",
                    format!("{:?}", settings.image_std),
                    "above 0",
                ),
            ],
        )?;
        Ok(Self {
            normalisation: Normalisation {
                mean: settings.image_mean,
                std: settings.image_std,
            },
        })
    }
}

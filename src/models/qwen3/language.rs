//! The whole Qwen3: what a text encoder is trained as.
use candle_core::{Result, Tensor};

use super::config::Config;
use crate::{
    models::{
        decoder::{self, Branches, Sequence},
        error::LoadResult,
        weights::Weights,
    },
    nn::Compute,
};

/// Every layer, the final norm and the head, of a checkpoint without the prefix `model`.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    decoder: decoder::Decoder,
}

impl LanguageModel {
    /// # Errors
    /// An inconsistent config, or weights that are not exactly those of the config.
    pub fn load(config: &Config, weights: Weights, compute: &Compute) -> LoadResult<Self> {
        config.validate()?;
        let scope = weights.scope("", compute);
        let decoder =
            decoder::Decoder::load(&decoder::Config::of_language_model(config), &scope, &scope)?;
        weights.finish()?;
        Ok(Self { decoder })
    }

    /// Logits of the token after each one. `ids` hold `texts` of one length each; answers `[texts, L, V]`
    ///
    /// # Errors
    /// Ids that do not divide into the texts, or one beyond the vocabulary.
    pub fn logits(&self, ids: &[u32], texts: usize) -> Result<Tensor> {
        let embedded = self.decoder.embed(ids)?;
        let (tokens, width) = embedded.dims2()?;
        let tokens = tokens / texts.max(1);
        let sequence = Sequence {
            embeddings: embedded.reshape((texts, tokens, width))?,
            positions: (0..tokens as u32).map(|at| [at; 3]).collect(),
            additions: Vec::new(),
            branches: Branches::one(tokens),
        };
        let states = self.decoder.states(&sequence, self.decoder.layers())?;
        let Some(last) = states.last() else {
            candle_core::bail!("a decoder has at least one layer")
        };
        self.decoder.logits(&self.decoder.normalise(last)?)
    }
}

//! Token ids to text features.
use candle_core::{Result, Tensor, bail};

use super::config::{Config, MAX_TOKENS};
use crate::{
    models::{
        decoder,
        error::LoadResult,
        weights::{Scope, Weights},
    },
    nn::Compute,
};

/// Prefix of the weights in published checkpoints; transformers v5 writes them without.
const PREFIX: &str = "model";

/// A frozen Qwen3 up to its second-to-last layer.
///
/// Not candle-transformers' encoder, though a test holds the two together: its activation, norms and softmax take one number at
/// a time, which made the text stage slower than PyTorch's, and it keeps the last layer's weights, which nothing reads.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    layers: decoder::Layers,
}

impl TextEncoder {
    /// # Errors
    /// An inconsistent config, or weights that are not exactly those of the config.
    pub fn load(config: &Config, weights: Weights, compute: &Compute) -> LoadResult<Self> {
        config.validate()?;
        let prefixed = weights.contains(&format!("{PREFIX}.embed_tokens.weight"));
        let scope = weights.scope(if prefixed { PREFIX } else { "" }, compute);
        let layers = decoder::Layers::load(&decoder::Config::of_text_encoder(config), &scope)?;
        skip_last_layer(config, &scope)?;
        if weights.contains("lm_head.weight") {
            let head = [config.vocab_size, config.hidden_size];
            weights.scope("", compute).skip("lm_head.weight", &head)?;
        }
        weights.finish()?;
        Ok(Self { layers })
    }

    /// Hidden states of the second-to-last layer, before the final norm. `[1, L, D]`
    ///
    /// # Errors
    /// No token, more than 512, or an id beyond the vocabulary.
    pub fn encode(&self, ids: &[u32]) -> Result<Tensor> {
        self.encode_together(&[ids])
    }

    /// As [`Self::encode`], of texts of one length L. `[texts, L, D]`
    ///
    /// # Errors
    /// As there, and texts of several lengths.
    pub fn encode_together(&self, texts: &[&[u32]]) -> Result<Tensor> {
        let usable = |ids: &&[u32]| !ids.is_empty() && ids.len() <= MAX_TOKENS;
        if let Some(ids) = texts.iter().find(|ids| !usable(ids)) {
            bail!("{} tokens, expected 1 to {MAX_TOKENS}", ids.len());
        }
        self.layers.read_texts(texts)
    }
}

/// What comes after the text features: the checkpoint has it, the text features do not.
fn skip_last_layer(config: &Config, scope: &Scope) -> LoadResult<()> {
    let hidden = config.hidden_size;
    let queries = config.num_attention_heads * config.head_dim;
    let keys = config.num_key_value_heads * config.head_dim;
    let layer = scope.at("layers").at(config.num_hidden_layers - 1);
    for (name, outputs, inputs) in [
        ("self_attn.q_proj", queries, hidden),
        ("self_attn.k_proj", keys, hidden),
        ("self_attn.v_proj", keys, hidden),
        ("self_attn.o_proj", hidden, queries),
    ] {
        layer.skip(format!("{name}.weight"), &[outputs, inputs])?;
        if config.attention_bias {
            layer.skip(format!("{name}.bias"), &[outputs])?;
        }
    }
    for (name, outputs, inputs) in [
        ("mlp.gate_proj", config.intermediate_size, hidden),
        ("mlp.up_proj", config.intermediate_size, hidden),
        ("mlp.down_proj", hidden, config.intermediate_size),
    ] {
        layer.skip(format!("{name}.weight"), &[outputs, inputs])?;
    }
    for (name, width) in [
        ("self_attn.q_norm", config.head_dim),
        ("self_attn.k_norm", config.head_dim),
        ("input_layernorm", hidden),
        ("post_attention_layernorm", hidden),
    ] {
        layer.skip(format!("{name}.weight"), &[width])?;
    }
    scope.skip("norm.weight", &[hidden])
}

//! Token ids to text features.
use std::collections::HashMap;

use candle_core::{Device, Result, Tensor, bail};
use candle_transformers::models::z_image::ZImageTextEncoder;

use super::config::{Config, MAX_TOKENS};
use crate::{
    models::{
        error::{LoadError, LoadResult},
        weights::{Scope, Weights},
    },
    nn::{Compute, VarBuilder},
};

/// Prefix of the weights in published checkpoints; transformers v5 writes them without.
const PREFIX: &str = "model";

/// A frozen Qwen3 up to its second-to-last layer (candle-transformers' Z-Image text encoder).
#[derive(Clone, Debug)]
pub struct TextEncoder {
    model: ZImageTextEncoder,
    device: Device,
}

impl TextEncoder {
    /// # Errors
    /// An inconsistent config, or weights that are not exactly those of the config.
    pub fn load(config: &Config, weights: Weights, compute: &Compute) -> LoadResult<Self> {
        config.validate()?;
        let prefixed = weights.contains(&format!("{PREFIX}.embed_tokens.weight"));
        let scope = weights.scope(if prefixed { PREFIX } else { "" }, compute);
        let tensors = take(config, &scope)?;
        if weights.contains("lm_head.weight") {
            let head = [config.vocab_size, config.hidden_size];
            weights.scope("", compute).skip("lm_head.weight", &head)?;
        }
        weights.finish()?;
        let builder = VarBuilder::from_tensors(tensors, compute.dtype, &compute.device);
        let built = ZImageTextEncoder::new(&config.for_candle(), builder);
        let model = built.map_err(|source| LoadError::Place {
            file: "text_encoder".into(),
            tensor: PREFIX.into(),
            source: Box::new(source),
        })?;
        Ok(Self {
            model,
            device: compute.device.clone(),
        })
    }

    /// Hidden states of the second-to-last layer, before the final norm. `[1, L, D]`
    ///
    /// # Errors
    /// No token, more than 512, or an id beyond the vocabulary.
    pub fn encode(&self, ids: &[u32]) -> Result<Tensor> {
        if ids.is_empty() || ids.len() > MAX_TOKENS {
            bail!("{} tokens, expected 1 to {MAX_TOKENS}", ids.len());
        }
        self.model
            .forward(&Tensor::new(ids, &self.device)?.unsqueeze(0)?)
    }
}

/// Every tensor of the model by candle-transformers' name.
fn take(config: &Config, scope: &Scope) -> LoadResult<HashMap<String, Tensor>> {
    let mut tensors = HashMap::new();
    let hidden = config.hidden_size;
    let queries = config.num_attention_heads * config.head_dim;
    let keys = config.num_key_value_heads * config.head_dim;
    let mut add = |name: String, shape: &[usize]| {
        let tensor = scope.tensor(&name, shape)?;
        tensors.insert(format!("{PREFIX}.{name}"), tensor);
        Ok(())
    };
    add("embed_tokens.weight".into(), &[config.vocab_size, hidden])?;
    for layer in 0..config.num_hidden_layers {
        let path = |name: &str| format!("layers.{layer}.{name}");
        for (name, outputs, inputs) in [
            ("self_attn.q_proj", queries, hidden),
            ("self_attn.k_proj", keys, hidden),
            ("self_attn.v_proj", keys, hidden),
            ("self_attn.o_proj", hidden, queries),
        ] {
            add(path(&format!("{name}.weight")), &[outputs, inputs])?;
            if config.attention_bias {
                add(path(&format!("{name}.bias")), &[outputs])?;
            }
        }
        for (name, outputs, inputs) in [
            ("mlp.gate_proj", config.intermediate_size, hidden),
            ("mlp.up_proj", config.intermediate_size, hidden),
            ("mlp.down_proj", hidden, config.intermediate_size),
        ] {
            add(path(&format!("{name}.weight")), &[outputs, inputs])?;
        }
        for (name, width) in [
            ("self_attn.q_norm", config.head_dim),
            ("self_attn.k_norm", config.head_dim),
            ("input_layernorm", hidden),
            ("post_attention_layernorm", hidden),
        ] {
            add(path(&format!("{name}.weight")), &[width])?;
        }
    }
    scope.skip("norm.weight", &[hidden])?;
    Ok(tensors)
}

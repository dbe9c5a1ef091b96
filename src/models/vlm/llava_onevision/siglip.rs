//! SigLIP's vision encoder (transformers `SiglipVisionModel`), up to its last layer.
use candle_core::{Result, Tensor};

use super::{
    super::{
        feed_forward::{FeedForward, gelu_form},
        pixels::patches,
    },
    config::VisionConfig,
};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{Activations, KeyMask, LayerNorm, Linear, attention},
};

#[derive(Clone, Debug)]
pub(super) struct Siglip {
    patch: usize,
    projection: Linear,
    /// `[n, D]`
    positions: Tensor,
    blocks: Vec<Block>,
}

impl Siglip {
    pub(super) fn load(config: &VisionConfig, scope: &Scope) -> LoadResult<Self> {
        let (width, patch) = (config.hidden_size, config.patch_size);
        let side = config.image_size / patch;
        let embeddings = scope.at("embeddings");
        let blocks = (0..config.num_hidden_layers)
            .map(|i| Block::load(config, &scope.at("encoder.layers").at(i)));
        for part in ["weight", "bias"] {
            // LLaVA takes what the last layer gives
            scope.at("post_layernorm").skip(part, &[width])?;
        }
        Ok(Self {
            patch,
            projection: embeddings.patch_linear("patch_embedding", &[3, patch, patch], width)?,
            positions: embeddings
                .at("position_embedding")
                .tensor("weight", &[side * side, width])?,
            blocks: blocks.collect::<LoadResult<_>>()?,
        })
    }

    /// `[V, 3, S, S]` to the patches' states `[V, n, D]`.
    pub(super) fn forward(&self, pixels: &Tensor, activations: &Activations) -> Result<Tensor> {
        let patches = self.projection.forward(&patches(pixels, self.patch)?)?;
        let x = patches.broadcast_add(&self.positions)?;
        self.blocks.iter().try_fold(x, |x, block| {
            let block = block.clone();
            activations.segment([&x], move |[x]| block.forward(x))
        })
    }
}

/// `x + attention(norm(x))`, then `x + feed_forward(norm(x))`.
#[derive(Clone, Debug)]
struct Block {
    attention_norm: LayerNorm,
    queries: Linear,
    keys: Linear,
    values: Linear,
    output: Linear,
    heads: usize,
    feed_forward_norm: LayerNorm,
    feed_forward: FeedForward,
}

impl Block {
    fn load(config: &VisionConfig, scope: &Scope) -> LoadResult<Self> {
        let width = config.hidden_size;
        let norm = |name| scope.layer_norm(name, width, config.layer_norm_eps);
        let attention = scope.at("self_attn");
        let linear = |name| attention.linear(name, width, width);
        Ok(Self {
            attention_norm: norm("layer_norm1")?,
            queries: linear("q_proj")?,
            keys: linear("k_proj")?,
            values: linear("v_proj")?,
            output: linear("out_proj")?,
            heads: config.num_attention_heads,
            feed_forward_norm: norm("layer_norm2")?,
            feed_forward: FeedForward::load(
                &scope.at("mlp"),
                ["fc1", "fc2"],
                [width, config.intermediate_size, width],
                gelu_form("vision_config.hidden_act", &config.hidden_act)?,
            )?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (views, tokens, width) = x.dims3()?;
        let normed = self.attention_norm.forward(x)?;
        let heads = |linear: &Linear| {
            let x = linear.forward(&normed)?;
            x.reshape((views, tokens, self.heads, width / self.heads))
        };
        let attended = attention(
            &heads(&self.queries)?,
            &heads(&self.keys)?,
            &heads(&self.values)?,
            &KeyMask::All,
        )?;
        let x = (x + self.output.forward(&attended.flatten_from(2)?)?)?;
        let fed = self
            .feed_forward
            .forward(&self.feed_forward_norm.forward(&x)?)?;
        x + fed
    }
}

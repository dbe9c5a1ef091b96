//! InternViT (transformers `InternVLVisionModel`).
use candle_core::{Result, Tensor};

use super::{
    super::{
        feed_forward::{FeedForward, gelu_form},
        pixels::patches,
    },
    config::{NormType, VisionConfig},
};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{Activations, KeyMask, LayerNorm, LayerScale, Linear, RmsNorm, add, attention},
};

#[derive(Clone, Debug)]
pub(super) struct InternVit {
    patch: usize,
    grid: (usize, usize),
    projection: Linear,
    /// `[1, 1, D]`
    class_token: Tensor,
    /// `[1, 1 + n, D]`
    positions: Tensor,
    blocks: Vec<Block>,
}

impl InternVit {
    pub(super) fn load(config: &VisionConfig, scope: &Scope) -> LoadResult<Self> {
        let (width, patch) = (config.hidden_size, config.patch_size.0);
        let grid = (config.image_size.0 / patch, config.image_size.1 / patch);
        let embeddings = scope.at("embeddings");
        let blocks = (0..config.num_hidden_layers)
            .map(|i| Block::load(config, &scope.at("encoder.layer").at(i)));
        Ok(Self {
            patch,
            grid,
            projection: embeddings.patch_linear(
                "patch_embeddings.projection",
                &[3, patch, patch],
                width,
            )?,
            class_token: embeddings.tensor("cls_token", &[1, 1, width])?,
            positions: embeddings
                .tensor("position_embeddings", &[1, 1 + grid.0 * grid.1, width])?,
            blocks: blocks.collect::<LoadResult<_>>()?,
        })
    }

    /// Rows and columns of patches.
    pub(super) fn grid(&self) -> (usize, usize) {
        self.grid
    }

    /// `[B, 3, S, S]` to the patches' states `[B, n, D]`, without the class token.
    pub(super) fn forward(&self, pixels: &Tensor, activations: &Activations) -> Result<Tensor> {
        let patches = self.projection.forward(&patches(pixels, self.patch)?)?;
        let (batch, count, width) = patches.dims3()?;
        let class = self.class_token.expand((batch, 1, width))?;
        let x = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&self.positions)?;
        let x = self.blocks.iter().try_fold(x, |x, block| {
            let block = block.clone();
            activations.segment([&x], move |[x]| block.forward(x))
        })?;
        x.narrow(1, 1, count)?.contiguous()
    }
}

/// `x + scale * attention(norm(x))`, then `x + scale * feed_forward(norm(x))`.
#[derive(Clone, Debug)]
struct Block {
    attention_norm: Norm,
    attention: Attention,
    attention_scale: LayerScale,
    feed_forward_norm: Norm,
    feed_forward: FeedForward,
    feed_forward_scale: LayerScale,
}

impl Block {
    fn load(config: &VisionConfig, scope: &Scope) -> LoadResult<Self> {
        let width = config.hidden_size;
        let form = gelu_form("vision_config.hidden_act", &config.hidden_act)?;
        Ok(Self {
            attention_norm: Norm::load(config, scope, "layernorm_before")?,
            attention: Attention::load(config, &scope.at("attention"))?,
            attention_scale: LayerScale::new(scope.tensor("lambda_1", &[width])?),
            feed_forward_norm: Norm::load(config, scope, "layernorm_after")?,
            feed_forward: FeedForward::load(
                &scope.at("mlp"),
                ["fc1", "fc2"],
                [width, config.intermediate_size, width],
                form,
            )?,
            feed_forward_scale: LayerScale::new(scope.tensor("lambda_2", &[width])?),
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let attended = self.attention.forward(&self.attention_norm.forward(x)?)?;
        let x = add(x, &self.attention_scale.forward(&attended)?)?;
        let fed = self
            .feed_forward
            .forward(&self.feed_forward_norm.forward(&x)?)?;
        add(&x, &self.feed_forward_scale.forward(&fed)?)
    }
}

#[derive(Clone, Debug)]
enum Norm {
    Layer(LayerNorm),
    Rms(RmsNorm),
}

impl Norm {
    fn load(config: &VisionConfig, scope: &Scope, name: &str) -> LoadResult<Self> {
        let (width, eps) = (config.hidden_size, config.layer_norm_eps);
        Ok(match config.norm_type {
            NormType::LayerNorm => Self::Layer(scope.layer_norm(name, width, eps)?),
            NormType::RmsNorm => Self::Rms(scope.rms_norm(name, width, eps)?),
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Layer(norm) => norm.forward(x),
            Self::Rms(norm) => norm.forward(x),
        }
    }
}

#[derive(Clone, Debug)]
struct Attention {
    queries: Linear,
    keys: Linear,
    values: Linear,
    output: Linear,
    /// On queries and keys over the full width, all heads together.
    norms: Option<[RmsNorm; 2]>,
    heads: usize,
}

impl Attention {
    fn load(config: &VisionConfig, scope: &Scope) -> LoadResult<Self> {
        let width = config.hidden_size;
        let linear = |name| match config.attention_bias {
            true => scope.linear(name, width, width),
            false => scope.linear_no_bias(name, width, width),
        };
        let norm = |name| scope.rms_norm(name, width, config.layer_norm_eps);
        let norms = match config.use_qk_norm {
            true => Some([norm("q_norm")?, norm("k_norm")?]),
            false => None,
        };
        Ok(Self {
            queries: linear("q_proj")?,
            keys: linear("k_proj")?,
            values: linear("v_proj")?,
            output: scope.linear("projection_layer", width, width)?,
            norms,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, tokens, width) = x.dims3()?;
        let heads = |x: Tensor| x.reshape((batch, tokens, self.heads, width / self.heads));
        let (mut queries, mut keys) = (self.queries.forward(x)?, self.keys.forward(x)?);
        if let Some([of_queries, of_keys]) = &self.norms {
            queries = of_queries.forward(&queries)?;
            keys = of_keys.forward(&keys)?;
        }
        let attended = attention(
            &heads(queries)?,
            &heads(keys)?,
            &heads(self.values.forward(x)?)?,
            &KeyMask::All,
        )?;
        self.output.forward(&attended.flatten_from(2)?)
    }
}

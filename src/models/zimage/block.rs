//! Transformer blocks, with and without modulation by time.
use std::ops::Range;

use candle_core::{Result, Tensor};

use super::{config::Config, layout::Segment, lora::LoraWeights, times::Times};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{Activations, Linear, RmsNorm, add, attention, swiglu, tanh},
};

/// Upstream's epsilon of the query and key norms, whatever `norm_eps` says.
const QK_EPS: f64 = 1e-5;

/// Self-attention with normalised, rotated queries and keys.
#[derive(Clone, Debug)]
struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    /// Query and key norm; `None` where the config has `qk_norm` off.
    norms: Option<[RmsNorm; 2]>,
    heads: usize,
}

impl Attention {
    fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let dim = config.dim;
        let norm = |name| scope.rms_norm(name, config.head_dim(), QK_EPS);
        let norms = if config.qk_norm {
            Some([norm("norm_q")?, norm("norm_k")?])
        } else {
            None
        };
        Ok(Self {
            to_q: scope.linear_no_bias("to_q", dim, dim)?,
            to_k: scope.linear_no_bias("to_k", dim, dim)?,
            to_v: scope.linear_no_bias("to_v", dim, dim)?,
            to_out: scope.linear_no_bias("to_out.0", dim, dim)?,
            norms,
            heads: config.n_heads,
        })
    }

    /// What the tokens of `wanted` gather from all tokens of `x` `[B, S, D]`. `[B, wanted, D]`
    fn forward(&self, x: &Tensor, segment: &Segment, wanted: &Range<usize>) -> Result<Tensor> {
        let (batch, _, dim) = x.dims3()?;
        let asking = x.narrow(1, wanted.start, wanted.len())?;
        let split = |x: Tensor| {
            let tokens = x.dim(1)?;
            x.reshape((batch, tokens, self.heads, dim / self.heads))
        };
        let mut q = split(self.to_q.forward(&asking)?)?;
        let mut k = split(self.to_k.forward(x)?)?;
        let v = split(self.to_v.forward(x)?)?;
        if let Some([norm_q, norm_k]) = &self.norms {
            (q, k) = (norm_q.forward(&q)?, norm_k.forward(&k)?);
        }
        let q = segment.rotations.of_tokens(wanted)?.turn(&q)?;
        let k = segment.rotations.turn(&k)?;
        let joined = attention(&q, &k, &v, &segment.mask)?.reshape((batch, wanted.len(), dim))?;
        self.to_out.forward(&joined)
    }

    fn with_lora(&self, prefix: &str, lora: &LoraWeights) -> Self {
        Self {
            to_q: lora.on(&format!("{prefix}.to_q"), &self.to_q),
            to_k: lora.on(&format!("{prefix}.to_k"), &self.to_k),
            to_v: lora.on(&format!("{prefix}.to_v"), &self.to_v),
            to_out: lora.on(&format!("{prefix}.to_out.0"), &self.to_out),
            ..self.clone()
        }
    }
}

/// SwiGLU: `w2(silu(w1 x) * w3 x)`.
#[derive(Clone, Debug)]
struct FeedForward {
    w1: Linear,
    w2: Linear,
    w3: Linear,
}

impl FeedForward {
    fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let (dim, hidden) = (config.dim, config.hidden());
        Ok(Self {
            w1: scope.linear_no_bias("w1", dim, hidden)?,
            w2: scope.linear_no_bias("w2", hidden, dim)?,
            w3: scope.linear_no_bias("w3", dim, hidden)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        swiglu(x, [&self.w1, &self.w3, &self.w2])
    }

    fn with_lora(&self, prefix: &str, lora: &LoraWeights) -> Self {
        Self {
            w1: lora.on(&format!("{prefix}.w1"), &self.w1),
            w2: lora.on(&format!("{prefix}.w2"), &self.w2),
            w3: lora.on(&format!("{prefix}.w3"), &self.w3),
        }
    }
}

/// Attention and feed-forward with norms before and after each: a block of the context refiner.
#[derive(Clone, Debug)]
pub(super) struct Block {
    attention: Attention,
    attention_norm1: RmsNorm,
    attention_norm2: RmsNorm,
    feed_forward: FeedForward,
    ffn_norm1: RmsNorm,
    ffn_norm2: RmsNorm,
}

impl Block {
    pub(super) fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let norm = |name| scope.rms_norm(name, config.dim, config.norm_eps);
        Ok(Self {
            attention: Attention::load(config, &scope.at("attention"))?,
            attention_norm1: norm("attention_norm1")?,
            attention_norm2: norm("attention_norm2")?,
            feed_forward: FeedForward::load(config, &scope.at("feed_forward"))?,
            ffn_norm1: norm("ffn_norm1")?,
            ffn_norm2: norm("ffn_norm2")?,
        })
    }

    /// `x` `[B, S, D]`
    pub(super) fn forward(&self, x: &Tensor, segment: &Segment) -> Result<Tensor> {
        let normal = self.attention_norm1.forward(x)?;
        let attended = self.attention.forward(&normal, segment, &(0..x.dim(1)?))?;
        let x = add(x, &self.attention_norm2.forward(&attended)?)?;
        let fed = self.feed_forward.forward(&self.ffn_norm1.forward(&x)?)?;
        add(&x, &self.ffn_norm2.forward(&fed)?)
    }

    pub(super) fn with_lora(&self, prefix: &str, lora: &LoraWeights) -> Self {
        Self {
            attention: self
                .attention
                .with_lora(&format!("{prefix}.attention"), lora),
            feed_forward: self
                .feed_forward
                .with_lora(&format!("{prefix}.feed_forward"), lora),
            ..self.clone()
        }
    }
}

/// A block whose norms are scaled and whose branches are gated by the time:
/// `x += tanh(gate) norm2(f(norm1(x) (1 + scale)))` (diffusers `ZImageTransformerBlock`).
#[derive(Clone, Debug)]
pub(super) struct ModulatedBlock {
    block: Block,
    /// Time embedding to scale and gate of attention, scale and gate of feed-forward.
    modulation: Linear,
}

impl ModulatedBlock {
    pub(super) fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        Ok(Self {
            block: Block::load(config, scope)?,
            modulation: scope.linear("adaLN_modulation.0", config.time_width(), 4 * config.dim)?,
        })
    }

    /// [`Self::forward`] as one segment of `activations`.
    pub(super) fn recomputed(
        &self,
        x: &Tensor,
        segment: &Segment,
        times: &Times,
        wanted: Range<usize>,
        activations: &Activations,
    ) -> Result<Tensor> {
        let (block, segment) = (self.clone(), segment.clone());
        match &times.clean {
            None => activations.segment([x, &times.noisy], move |[x, noisy]| {
                let times = Times {
                    noisy: noisy.clone(),
                    clean: None,
                };
                block.forward(x, &segment, &times, wanted.clone())
            }),
            Some((clean, leading)) => {
                let leading = *leading;
                activations.segment([x, &times.noisy, clean], move |[x, noisy, clean]| {
                    let times = Times {
                        noisy: noisy.clone(),
                        clean: Some((clean.clone(), leading)),
                    };
                    block.forward(x, &segment, &times, wanted.clone())
                })
            }
        }
    }

    /// The `wanted` tokens of the answer for `x` `[B, S, D]`. `[B, wanted, D]`
    pub(super) fn forward(
        &self,
        x: &Tensor,
        segment: &Segment,
        times: &Times,
        wanted: Range<usize>,
    ) -> Result<Tensor> {
        let (_, tokens, dim) = x.dims3()?;
        let modulation = times.rows(|time| self.modulation.forward(time))?;
        let part = |m: &Tensor, index: usize| m.narrow(1, index * dim, dim);
        let scale = |times: &Times, index| times.map(|m| part(m, index)? + 1.0);
        let gate = |times: &Times, index| times.map(|m| tanh(&part(m, index)?));
        let block = &self.block;
        let scaled = block
            .attention_norm1
            .forward_times(x, &scale(&modulation, 0)?.per_token(tokens))?;
        let attended = block.attention.forward(&scaled, segment, &wanted)?;
        let x = x.narrow(1, wanted.start, wanted.len())?;
        let (modulation, tokens) = (modulation.of_tokens(&wanted), wanted.len());
        let gated = block
            .attention_norm2
            .forward_times(&attended, &gate(&modulation, 1)?.per_token(tokens))?;
        let x = add(&x, &gated)?;
        let scaled = block
            .ffn_norm1
            .forward_times(&x, &scale(&modulation, 2)?.per_token(tokens))?;
        let fed = block.feed_forward.forward(&scaled)?;
        let gated = block
            .ffn_norm2
            .forward_times(&fed, &gate(&modulation, 3)?.per_token(tokens))?;
        add(&x, &gated)
    }

    pub(super) fn with_lora(&self, prefix: &str, lora: &LoraWeights) -> Self {
        Self {
            block: self.block.with_lora(prefix, lora),
            modulation: lora.on(&format!("{prefix}.adaLN_modulation.0"), &self.modulation),
        }
    }
}

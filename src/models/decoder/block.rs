//! One decoder layer.
use candle_core::{Result, Tensor};

use super::{
    Rotations,
    config::{Config, Generation},
};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{KeyMask, Linear, RmsNorm, attention, rope_halves, silu_mul},
};

/// `x + attention(norm(x))`, then `x + feed_forward(norm(x))`.
#[derive(Clone, Debug)]
pub(super) struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    feed_forward_norm: RmsNorm,
    feed_forward: FeedForward,
}

impl Block {
    pub(super) fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let norm = |name| scope.rms_norm(name, config.hidden_size, config.rms_norm_eps);
        Ok(Self {
            attention_norm: norm("input_layernorm")?,
            attention: Attention::load(config, &scope.at("self_attn"))?,
            feed_forward_norm: norm("post_attention_layernorm")?,
            feed_forward: FeedForward::load(config, &scope.at("mlp"))?,
        })
    }

    /// `[B, L, D]` to the same.
    pub(super) fn forward(&self, x: &Tensor, rotations: &Rotations) -> Result<Tensor> {
        let normed = self.attention_norm.forward(x)?;
        let queries = self.attention.queries(&normed, rotations)?;
        let attended = self
            .attention
            .forward(&queries, &normed, rotations, &KeyMask::Causal)?;
        self.feed((x + attended)?)
    }

    /// Only what the last tokens become. `[B, L, D]` to `[B, 1, D]`
    pub(super) fn forward_last(
        &self,
        x: &Tensor,
        rotations: &Rotations,
        last: &LastTokens,
    ) -> Result<Tensor> {
        let normed = self.attention_norm.forward(x)?;
        let queries = self
            .attention
            .queries(&last.pick(&normed)?, &last.rotations)?;
        let attended = self
            .attention
            .forward(&queries, &normed, rotations, &last.mask)?;
        self.feed((last.pick(x)? + attended)?)
    }

    fn feed(&self, x: Tensor) -> Result<Tensor> {
        let fed = self
            .feed_forward
            .forward(&self.feed_forward_norm.forward(&x)?)?;
        x + fed
    }
}

/// The last token of each item, as the last layer needs it.
pub(super) struct LastTokens {
    /// Index of each among all tokens of the batch, `[B]`.
    rows: Tensor,
    rotations: Rotations,
    /// The keys up to it.
    mask: KeyMask,
}

impl LastTokens {
    /// `x` `[B, L, D]`, one index of each item below `L`.
    pub(super) fn new(x: &Tensor, rotations: &Rotations, last: &[usize]) -> Result<Self> {
        let (batch, length, _) = x.dims3()?;
        if last.len() != batch || last.iter().any(|index| *index >= length) {
            candle_core::bail!("last tokens {last:?} of {batch} items of {length} tokens")
        }
        let rows = last.iter().enumerate();
        let rows: Vec<u32> = rows
            .map(|(item, index)| (item * length + index) as u32)
            .collect();
        let rows = Tensor::new(rows, x.device())?;
        let seen = last
            .iter()
            .flat_map(|last| (0..length).map(move |key| u8::from(key <= *last)));
        let seen = Tensor::from_iter(seen, x.device())?.reshape((batch, length))?;
        Ok(Self {
            rotations: rotations.of(&rows)?,
            rows,
            mask: KeyMask::Keys(seen),
        })
    }

    /// `[B, L, D]` to `[B, 1, D]`
    fn pick(&self, x: &Tensor) -> Result<Tensor> {
        x.flatten(0, 1)?
            .contiguous()?
            .index_select(&self.rows, 0)?
            .unsqueeze(1)
    }
}

#[derive(Clone, Debug)]
struct Attention {
    queries: Linear,
    keys: Linear,
    values: Linear,
    output: Linear,
    norms: Option<HeadNorms>,
    head_dim: usize,
}

/// Norms on each head of queries and keys, before the rotation.
#[derive(Clone, Debug)]
struct HeadNorms {
    queries: RmsNorm,
    keys: RmsNorm,
}

impl Attention {
    fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let (hidden, head_dim) = (config.hidden_size, config.head_dim());
        let linear = |name: &str, inputs, outputs, bias| {
            if bias {
                scope.linear(name, inputs, outputs)
            } else {
                scope.linear_no_bias(name, inputs, outputs)
            }
        };
        let queries = config.num_attention_heads * head_dim;
        let keys = config.num_key_value_heads * head_dim;
        let bias = config.has_query_bias();
        let norms = match config.generation() {
            Generation::Qwen2 => None,
            Generation::Qwen3 => Some(HeadNorms {
                queries: scope.rms_norm("q_norm", head_dim, config.rms_norm_eps)?,
                keys: scope.rms_norm("k_norm", head_dim, config.rms_norm_eps)?,
            }),
        };
        Ok(Self {
            queries: linear("q_proj", hidden, queries, bias)?,
            keys: linear("k_proj", hidden, keys, bias)?,
            values: linear("v_proj", hidden, keys, bias)?,
            output: linear("o_proj", queries, hidden, config.has_output_bias())?,
            norms,
            head_dim,
        })
    }

    /// Rotated queries `[B, Q, H, D]` of the tokens `x` `[B, Q, hidden]`.
    fn queries(&self, x: &Tensor, rotations: &Rotations) -> Result<Tensor> {
        let queries = self.heads(&self.queries.forward(x)?)?;
        let queries = match &self.norms {
            Some(norms) => norms.queries.forward(&queries)?,
            None => queries,
        };
        rope_halves(&queries, &rotations.cos, &rotations.sin)
    }

    /// What `queries` make of the tokens `x` `[B, L, hidden]`.
    fn forward(
        &self,
        queries: &Tensor,
        x: &Tensor,
        rotations: &Rotations,
        mask: &KeyMask,
    ) -> Result<Tensor> {
        let keys = self.heads(&self.keys.forward(x)?)?;
        let keys = match &self.norms {
            Some(norms) => norms.keys.forward(&keys)?,
            None => keys,
        };
        let keys = rope_halves(&keys, &rotations.cos, &rotations.sin)?;
        let values = self.heads(&self.values.forward(x)?)?;
        let attended = attention(queries, &keys, &values, mask)?;
        self.output.forward(&attended.flatten_from(2)?)
    }

    /// `[B, L, H * D]` to `[B, L, H, D]`
    fn heads(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, tokens, width) = x.dims3()?;
        x.reshape((batch, tokens, width / self.head_dim, self.head_dim))
    }
}

/// SwiGLU (arXiv 2002.05202).
#[derive(Clone, Debug)]
struct FeedForward {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl FeedForward {
    fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            gate: scope.linear_no_bias("gate_proj", hidden, inner)?,
            up: scope.linear_no_bias("up_proj", hidden, inner)?,
            down: scope.linear_no_bias("down_proj", inner, hidden)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.down
            .forward(&silu_mul(&self.gate.forward(x)?, &self.up.forward(x)?)?)
    }
}

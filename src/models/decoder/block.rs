//! One decoder layer.
use candle_core::{Result, Tensor};

use super::{
    Branches, Rotations,
    config::{Config, Generation},
};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{Linear, RmsNorm, add, rope_halves, swiglu},
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

    /// `[B, N, D]` to the same.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        rotations: &Rotations,
        branches: &Branches,
    ) -> Result<Tensor> {
        let normed = self.attention_norm.forward(x)?;
        let queries = self.attention.queries(&normed, rotations)?;
        let (keys, values) = self.attention.keys_and_values(&normed, rotations)?;
        let attended = branches.attend(&queries, &keys, &values)?;
        self.feed(add(x, &self.attention.output(&attended)?)?)
    }

    /// Only what the texts' last tokens become. `[1, N, D]` to `[1, texts, D]`
    pub(super) fn forward_last(
        &self,
        x: &Tensor,
        rotations: &Rotations,
        branches: &Branches,
    ) -> Result<Tensor> {
        let last: Vec<u32> = branches.last().iter().map(|at| *at as u32).collect();
        let last = Tensor::new(last, x.device())?;
        let normed = self.attention_norm.forward(x)?;
        let queries = self
            .attention
            .queries(&normed.index_select(&last, 1)?, &rotations.of(&last)?)?;
        let (keys, values) = self.attention.keys_and_values(&normed, rotations)?;
        let attended = branches.attend_last(&queries, &keys, &values)?;
        self.feed((x.index_select(&last, 1)? + self.attention.output(&attended)?)?)
    }

    fn feed(&self, x: Tensor) -> Result<Tensor> {
        let fed = self
            .feed_forward
            .forward(&self.feed_forward_norm.forward(&x)?)?;
        add(&x, &fed)
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

    /// Rotated keys and values `[B, L, G, D]` of the tokens `x` `[B, L, hidden]`.
    fn keys_and_values(&self, x: &Tensor, rotations: &Rotations) -> Result<(Tensor, Tensor)> {
        let keys = self.heads(&self.keys.forward(x)?)?;
        let keys = match &self.norms {
            Some(norms) => norms.keys.forward(&keys)?,
            None => keys,
        };
        let keys = rope_halves(&keys, &rotations.cos, &rotations.sin)?;
        Ok((keys, self.heads(&self.values.forward(x)?)?))
    }

    /// `[B, L, H, D]` to `[B, L, hidden]`
    fn output(&self, attended: &Tensor) -> Result<Tensor> {
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
        swiglu(x, [&self.gate, &self.up, &self.down])
    }
}

//! Softmax attention with its weights in memory.
use candle_core::{D, DType, Result, Tensor};

use super::wide;
use crate::nn::graft::graft;

/// `softmax(q k^T / sqrt(D)) v` over the keys where `seen` is one; `seen` broadcasts to `[B, H, Q, K]`.
///
/// `q` `[B, Q, H, D]`, `k` and `v` `[B, K, G, D]`, H a multiple of G; the answer is shaped as `q`.
pub(in crate::nn) fn attention([q, k, v]: [&Tensor; 3], seen: Option<&Tensor>) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(D::Minus1)? as f64).sqrt();
    let heads = q.dim(2)?;
    let [queries, keys, values] =
        [(q, heads), (k, heads), (v, heads)].map(|(x, heads)| heads_first(&x.detach(), heads));
    let (queries, keys, values) = (queries?, keys?, values?);
    let scores = (queries.matmul(&keys.t()?)? * scale)?;
    let scores = match seen {
        Some(seen) => only(seen, &scores)?,
        None => scores,
    };
    let weights = softmax(&scores)?.to_dtype(q.dtype())?;
    let value = weights.matmul(&values)?.transpose(1, 2)?;
    let groups = k.dim(2)?;
    graft([q, k, v], value.contiguous()?, move |_, grad| {
        let grad = grad.transpose(1, 2)?.contiguous()?;
        let of_values = weights.t()?.matmul(&grad)?;
        let of_weights = wide(&grad.matmul(&values.t()?)?)?;
        let shares = wide(&weights)?;
        let mean = (&of_weights * &shares)?.sum_keepdim(D::Minus1)?;
        let of_scores = (shares * of_weights.broadcast_sub(&mean)?)?;
        let of_scores = (of_scores * scale)?.to_dtype(grad.dtype())?;
        Ok([
            Some(of_scores.matmul(&keys)?.transpose(1, 2)?.contiguous()?),
            Some(tokens_first(&of_scores.t()?.matmul(&queries)?, groups)?),
            Some(tokens_first(&of_values, groups)?),
        ])
    })
}

/// Over the last dimension, outside the graph, wide.
#[allow(
    clippy::disallowed_methods,
    reason = "it is handed constants, and the gradient is written out"
)]
fn softmax(scores: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax_last_dim(&wide(scores)?)
}

/// `[B, S, G, D]` to `[B, heads, S, D]`: each group serves as many neighbouring heads.
fn heads_first(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, tokens, groups, size) = x.dims4()?;
    let x = x.transpose(1, 2)?;
    if groups == heads {
        return x.contiguous();
    }
    x.unsqueeze(2)?
        .expand((batch, groups, heads / groups, tokens, size))?
        .contiguous()?
        .reshape((batch, heads, tokens, size))
}

/// `[B, heads, S, D]` to `[B, S, G, D]`, the heads of a group added up.
fn tokens_first(x: &Tensor, groups: usize) -> Result<Tensor> {
    let (batch, heads, tokens, size) = x.dims4()?;
    let x = match heads == groups {
        true => x.clone(),
        false => x
            .reshape((batch, groups, heads / groups, tokens, size))?
            .sum(2)?,
    };
    x.transpose(1, 2)?.contiguous()
}

/// `scores` where `seen`, which broadcasts, is one.
fn only(seen: &Tensor, scores: &Tensor) -> Result<Tensor> {
    let floor = match scores.dtype() {
        DType::F16 => -6e4,
        _ => -1e30,
    };
    let floor = Tensor::new(floor as f32, scores.device())?.to_dtype(scores.dtype())?;
    seen.broadcast_as(scores.shape())?
        .where_cond(scores, &floor.broadcast_as(scores.shape())?)
}

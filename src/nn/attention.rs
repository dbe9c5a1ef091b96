//! Scaled dot-product attention.
use candle_core::{D, DType, Result, Tensor};

use super::{
    graft::graft_with_value,
    kernels::{
        attention::{Attended, attend, attend_backward},
        host::{is_host_float, is_host_half},
    },
};

/// Which keys may be attended to.
#[derive(Debug, Clone)]
pub enum KeyMask {
    /// Every key.
    All,
    /// `[B, S]` u8, one where the key takes part. Each row needs at least one.
    Keys(Tensor),
    /// The queries are the last of the keys, and each sees the keys up to itself.
    Causal,
}

/// `softmax(q k^T / sqrt(D) + mask) v`; `q`, `k`, `v` are `[B, S, H, D]`, so is the answer.
///
/// Keys and values may have another S, and fewer heads: each then serves as many neighbouring query heads
/// (grouped-query attention, arXiv 2305.13245).
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: &KeyMask) -> Result<Tensor> {
    if is_host_half(q) {
        let wide = |t: &Tensor| t.to_dtype(DType::F32);
        return attention(&wide(q)?, &wide(k)?, &wide(v)?, mask)?.to_dtype(q.dtype());
    }
    if !is_host_float(q) {
        return composite(q, k, v, mask);
    }
    let mask = mask.clone();
    let attended = attend(q, k, v, &mask)?;
    let log_sums = attended.log_sums;
    graft_with_value([q, k, v], attended.value, move |inputs, [value, grad]| {
        let attended = Attended {
            value: value.detach(),
            log_sums: log_sums.clone(),
        };
        attend_backward(inputs, &mask, &attended, grad).map(|grads| grads.map(Some))
    })
}

fn composite(q: &Tensor, k: &Tensor, v: &Tensor, mask: &KeyMask) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(D::Minus1)? as f64).sqrt();
    let heads_first = |t: &Tensor| t.transpose(1, 2)?.contiguous();
    let heads = q.dim(2)?;
    let (k, v) = (repeat_heads(k, heads)?, repeat_heads(v, heads)?);
    let (q, k, v) = (heads_first(q)?, heads_first(&k)?, heads_first(&v)?);
    let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * scale)?;
    let scores = match mask {
        KeyMask::All => scores,
        KeyMask::Keys(keys) => {
            let (batch, keys_len) = keys.dims2()?;
            only(&keys.reshape((batch, 1, 1, keys_len))?, &scores)?
        }
        KeyMask::Causal => {
            let (queries, keys) = (scores.dim(D::Minus2)?, scores.dim(D::Minus1)?);
            let earlier = Tensor::tril2(keys, DType::U8, scores.device())?;
            only(&earlier.narrow(0, keys - queries, queries)?, &scores)?
        }
    };
    let weights = softmax(&scores)?;
    weights.matmul(&v)?.transpose(1, 2)?.contiguous()
}

/// `[B, S, G, D]` to `[B, S, heads, D]`.
fn repeat_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, tokens, groups, size) = x.dims4()?;
    x.unsqueeze(3)?
        .expand((batch, tokens, groups, heads / groups, size))?
        .reshape((batch, tokens, heads, size))
}

/// `scores` where `attend`, which broadcasts, is one.
fn only(attend: &Tensor, scores: &Tensor) -> Result<Tensor> {
    let floor = Tensor::new(-1e30f32, scores.device())?
        .to_dtype(scores.dtype())?
        .broadcast_as(scores.shape())?;
    attend
        .broadcast_as(scores.shape())?
        .where_cond(scores, &floor)
}

/// Softmax over the last dimension, in single precision for the half types.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let dtype = scores.dtype();
    let scores = match dtype {
        DType::F16 | DType::BF16 => scores.to_dtype(DType::F32)?,
        _ => scores.clone(),
    };
    candle_nn::ops::softmax(&scores, D::Minus1)?.to_dtype(dtype)
}

//! Scaled dot-product attention.
use candle_core::{D, DType, Result, Tensor};

use super::{
    graft::graft,
    kernels::{
        attention::{attend, attend_backward},
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
}

/// `softmax(q k^T / sqrt(D) + mask) v`; `q`, `k`, `v` are `[B, S, H, D]` (keys may have another S), so is the answer.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: &KeyMask) -> Result<Tensor> {
    if is_host_half(q) {
        let wide = |t: &Tensor| t.to_dtype(DType::F32);
        return attention(&wide(q)?, &wide(k)?, &wide(v)?, mask)?.to_dtype(q.dtype());
    }
    if !is_host_float(q) {
        return composite(q, k, v, mask);
    }
    let keys = match mask {
        KeyMask::All => None,
        KeyMask::Keys(keys) => Some(keys.clone()),
    };
    let attended = attend(q, k, v, keys.as_ref())?;
    graft([q, k, v], attended.value.clone(), move |inputs, grad| {
        attend_backward(inputs, keys.as_ref(), &attended, grad).map(|grads| grads.map(Some))
    })
}

fn composite(q: &Tensor, k: &Tensor, v: &Tensor, mask: &KeyMask) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(D::Minus1)? as f64).sqrt();
    let heads_first = |t: &Tensor| t.transpose(1, 2)?.contiguous();
    let (q, k, v) = (heads_first(q)?, heads_first(k)?, heads_first(v)?);
    let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * scale)?;
    let scores = match mask {
        KeyMask::All => scores,
        KeyMask::Keys(keys) => {
            let (batch, keys_len) = keys.dims2()?;
            let attend = keys
                .reshape((batch, 1, 1, keys_len))?
                .broadcast_as(scores.shape())?;
            let floor = Tensor::new(-1e30f32, scores.device())?
                .to_dtype(scores.dtype())?
                .broadcast_as(scores.shape())?;
            attend.where_cond(&scores, &floor)?
        }
    };
    let weights = softmax(&scores)?;
    weights.matmul(&v)?.transpose(1, 2)?.contiguous()
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

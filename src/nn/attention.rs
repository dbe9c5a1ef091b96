//! Scaled dot-product attention.
use candle_core::{DType, Result, Tensor};

use super::{
    device,
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
        return on_device(q, k, v, mask);
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

fn on_device(q: &Tensor, k: &Tensor, v: &Tensor, mask: &KeyMask) -> Result<Tensor> {
    let seen = match mask {
        KeyMask::All => None,
        KeyMask::Keys(keys) => {
            let (batch, keys_len) = keys.dims2()?;
            Some(keys.reshape((batch, 1, 1, keys_len))?)
        }
        KeyMask::Causal => {
            let (queries, keys) = (q.dim(1)?, k.dim(1)?);
            let earlier = Tensor::tril2(keys, DType::U8, q.device())?;
            Some(earlier.narrow(0, keys - queries, queries)?)
        }
    };
    device::attention::attention([q, k, v], seen.as_ref())
}

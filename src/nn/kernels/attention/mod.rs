//! Attention without a score matrix (FlashAttention-2, arXiv 2307.08691).
//!
//! Scores are computed transposed, `[keys][queries]`: a panel of queries lies along the vectors, so that the softmax
//! needs no horizontal operation and its result is already packed for the product with the values.
mod backward;
mod forward;
mod heads;

use candle_core::{Device, Result, Tensor, bail};

use self::{backward::gradients, heads::Heads};
use super::{host::for_float, real::Real};

/// Keys of one pass; a multiple of every left tile's height.
const KEYS: usize = 120;

/// What the backward needs besides the inputs.
pub(crate) struct Attended {
    /// `[B, S, H, D]`
    pub value: Tensor,
    /// Base-two logarithm of each query's sum of exponentials, `[B, S, H]`.
    pub log_sums: Tensor,
}

/// `q`, `k`, `v` `[B, S, H, D]` on the host, `keys` `[B, S]` u8 or none. Not part of the graph.
pub(crate) fn attend(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    keys: Option<&Tensor>,
) -> Result<Attended> {
    for_float!(q, attend_of(q, k, v, keys))
}

/// Gradients of `q`, `k` and `v` from the gradient of the value.
pub(crate) fn attend_backward(
    inputs: &[Tensor; 3],
    keys: Option<&Tensor>,
    attended: &Attended,
    grad: &Tensor,
) -> Result<[Tensor; 3]> {
    for_float!(grad, gradients(inputs, keys, attended, grad))
}

fn attend_of<T: Real>(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    keys: Option<&Tensor>,
) -> Result<Attended> {
    let (batch, tokens, heads, size) = q.dims4()?;
    if k.dims() != v.dims() || k.dims() != [batch, k.dim(1)?, heads, size] {
        bail!(
            "attention of q {:?}, k {:?}, v {:?}: all are [B, S, H, D]",
            q.dims(),
            k.dims(),
            v.dims()
        )
    }
    let attending = attending(keys, batch, k.dim(1)?)?;
    let [q, k, v] = [q, k, v].map(heads::readable);
    let (q, k, v) = (q?, k?, v?);
    let (q, q_layout) = q.storage_and_layout();
    let (k, k_layout) = k.storage_and_layout();
    let (v, v_layout) = v.storage_and_layout();
    let (value, log_sums) = forward::run::<T>(
        [
            Heads::of(&q, q_layout)?,
            Heads::of(&k, k_layout)?,
            Heads::of(&v, v_layout)?,
        ],
        &attending,
    );
    Ok(Attended {
        value: Tensor::from_vec(value, (batch, tokens, heads, size), &Device::Cpu)?,
        log_sums: Tensor::from_vec(log_sums, (batch, tokens, heads), &Device::Cpu)?,
    })
}

/// Which keys of each batch item take part.
fn attending(keys: Option<&Tensor>, batch: usize, tokens: usize) -> Result<Vec<Vec<bool>>> {
    let Some(keys) = keys else {
        return Ok(vec![vec![true; tokens]; batch]);
    };
    let rows = keys.to_vec2::<u8>()?;
    if rows.len() != batch || rows.iter().any(|row| row.len() != tokens) {
        bail!(
            "a key mask {:?} does not fit {batch} items of {tokens} keys",
            keys.dims()
        )
    }
    if rows.iter().any(|row| row.iter().all(|key| *key == 0)) {
        bail!("a key mask leaves an item without any key; each needs at least one")
    }
    Ok(rows
        .into_iter()
        .map(|row| row.into_iter().map(|key| key != 0).collect())
        .collect())
}

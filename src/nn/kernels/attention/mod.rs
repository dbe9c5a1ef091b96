//! Attention without a score matrix (FlashAttention-2, arXiv 2307.08691).
//!
//! Scores are computed transposed, `[keys][queries]`: a panel of queries lies along the vectors, so that the softmax
//! needs no horizontal operation and its result is already packed for the product with the values.
mod backward;
mod block;
mod forward;
mod heads;

use candle_core::{Device, Result, Tensor, bail};

use self::{backward::gradients, heads::Heads};
use super::{host::for_float, real::Real};
use crate::nn::KeyMask;

/// Keys of one pass; a multiple of every left tile's height.
const KEYS: usize = 120;

/// A multiple of every left tile's height: packed rows can be cut here.
const TILE: usize = 12;

/// What the backward needs besides the inputs.
pub(crate) struct Attended {
    /// `[B, S, H, D]`
    pub value: Tensor,
    /// Base-two logarithm of each query's sum of exponentials, `[B, S, H]`.
    pub log_sums: Tensor,
}

/// `q`, `k`, `v` `[B, S, H, D]` on the host; the heads of `k` and `v` divide those of `q`. Not part of the graph.
pub(crate) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: &KeyMask) -> Result<Attended> {
    for_float!(q, attend_of(q, k, v, mask))
}

/// Gradients of `q`, `k` and `v` from the gradient of the value.
pub(crate) fn attend_backward(
    inputs: &[Tensor; 3],
    mask: &KeyMask,
    attended: &Attended,
    grad: &Tensor,
) -> Result<[Tensor; 3]> {
    for_float!(grad, gradients(inputs, mask, attended, grad))
}

fn attend_of<T: Real>(q: &Tensor, k: &Tensor, v: &Tensor, mask: &KeyMask) -> Result<Attended> {
    let (batch, tokens, heads, size) = q.dims4()?;
    let (_, keys, groups, _) = k.dims4()?;
    if k.dims() != v.dims()
        || k.dims() != [batch, keys, groups, size]
        || groups == 0
        || heads % groups != 0
    {
        bail!(
            "attention of q {:?}, k {:?}, v {:?}: all are [B, S, H, D], with H of k and v a divisor of q's",
            q.dims(),
            k.dims(),
            v.dims()
        )
    }
    let sight = Sight::new(mask, [batch, tokens, keys])?;
    let [q, k, v] = [q, k, v].map(heads::readable);
    let (q, k, v) = (q?, k?, v?);
    let (q, q_layout) = q.storage_and_layout();
    let (k, k_layout) = k.storage_and_layout();
    let (v, v_layout) = v.storage_and_layout();
    let (value, log_sums) = forward::run::<T>(
        [
            Heads::of(&q, q_layout, heads)?,
            Heads::of(&k, k_layout, heads)?,
            Heads::of(&v, v_layout, heads)?,
        ],
        &sight,
    );
    Ok(Attended {
        value: Tensor::from_vec(value, (batch, tokens, heads, size), &Device::Cpu)?,
        log_sums: Tensor::from_vec(log_sums, (batch, tokens, heads), &Device::Cpu)?,
    })
}

/// Who sees whom.
struct Sight {
    /// Keys that take part at all, by batch item.
    attending: Vec<Vec<bool>>,
    order: Order,
}

/// Whether a query sees keys that come after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Any,
    /// Query `i` is key `i + earlier`.
    Causal {
        earlier: usize,
    },
}

impl Order {
    /// How many of `tokens` keys the queries below `queries` may see, up to a whole tile.
    fn seen(self, queries: usize, tokens: usize) -> usize {
        match self {
            Self::Any => tokens,
            Self::Causal { earlier } => tokens.min((earlier + queries).next_multiple_of(TILE)),
        }
    }
}

impl Sight {
    fn new(mask: &KeyMask, [batch, queries, keys]: [usize; 3]) -> Result<Self> {
        let everything = || vec![vec![true; keys]; batch];
        match mask {
            KeyMask::All => Ok(Self {
                attending: everything(),
                order: Order::Any,
            }),
            KeyMask::Keys(mask) => Ok(Self {
                attending: attending(mask, batch, keys)?,
                order: Order::Any,
            }),
            KeyMask::Causal if queries <= keys => Ok(Self {
                attending: everything(),
                order: Order::Causal {
                    earlier: keys - queries,
                },
            }),
            KeyMask::Causal => {
                bail!(
                    "causal attention of {queries} queries to {keys} keys; the queries are among the keys"
                )
            }
        }
    }
}

fn attending(keys: &Tensor, batch: usize, tokens: usize) -> Result<Vec<Vec<bool>>> {
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

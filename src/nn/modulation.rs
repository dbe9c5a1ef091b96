//! Element-wise pieces of an adaptively normalised transformer block (AdaLN, arXiv 2212.09748).
use candle_core::{Result, Tensor};

/// `x * (1 + scale)`; `x` `[B, S, D]`, `scale` the same or broadcastable (`[B, 1, D]`).
pub fn modulate(x: &Tensor, scale: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(&(scale + 1.0)?)
}

/// `x + gate * y`; `x` and `y` `[B, S, D]`, `gate` the same or broadcastable (`[B, 1, D]`).
pub fn gated_residual(x: &Tensor, gate: &Tensor, y: &Tensor) -> Result<Tensor> {
    x + y.broadcast_mul(gate)?
}

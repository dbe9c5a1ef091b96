//! Gated products.
use candle_core::{Result, Tensor};

use crate::nn::graft::graft;

/// `silu(gate) * up`; both of the same shape.
pub(in crate::nn) fn silu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let value = (gate.detach().silu()? * up.detach())?;
    graft([gate, up], value, |[gate, up], grad| {
        let open = sigmoid(gate)?;
        let silu = (gate * &open)?;
        // silu' = open + silu (1 - open)
        let slope = (&open + (&silu * open.affine(-1.0, 1.0)?)?)?;
        Ok([Some(((grad * up)? * slope)?), Some((grad * silu)?)])
    })
}

/// `1 / (1 + e^-x)`, outside the graph.
pub(super) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}

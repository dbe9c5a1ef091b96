//! Rotary position embedding in the complex-pair layout (Z-Image's `apply_rotary_emb`).
use candle_core::{D, Result, Tensor};

use super::{
    graft::graft,
    kernels::{host::is_host_float, rotate::rotate},
};

/// Rotates each pair `(x[2i], x[2i+1])` by the angle whose cosine and sine are `cos[s, i]`, `sin[s, i]`.
///
/// `x` `[B, S, H, D]`, `cos` and `sin` `[S, D/2]` (constants: they receive no gradient).
pub fn rope_pairs(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    if !is_host_float(x) {
        return composite(x, cos, sin);
    }
    let (cos, sin) = (cos.detach(), sin.detach());
    graft([x], rotate(x, &cos, &sin)?, move |_, grad| {
        Ok([Some(rotate(grad, &cos, &sin.neg()?)?)])
    })
}

fn composite(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (batch, tokens, heads, size) = x.dims4()?;
    let angle = |t: &Tensor| {
        t.detach()
            .to_dtype(x.dtype())?
            .reshape((1, tokens, 1, size / 2))
    };
    let (cos, sin) = (angle(cos)?, angle(sin)?);
    let pairs = x.reshape((batch, tokens, heads, size / 2, 2))?;
    let even = pairs.narrow(D::Minus1, 0, 1)?.squeeze(D::Minus1)?;
    let odd = pairs.narrow(D::Minus1, 1, 1)?.squeeze(D::Minus1)?;
    let rotated_even = (even.broadcast_mul(&cos)? - odd.broadcast_mul(&sin)?)?;
    let rotated_odd = (even.broadcast_mul(&sin)? + odd.broadcast_mul(&cos)?)?;
    Tensor::stack(&[rotated_even, rotated_odd], D::Minus1)?.reshape(x.shape())
}

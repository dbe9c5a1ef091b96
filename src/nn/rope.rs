//! Rotary position embedding (arXiv 2104.09864), in both layouts that checkpoints use.
use candle_core::{D, Result, Tensor};

use super::{
    graft::graft,
    kernels::{
        host::is_host_float,
        rotate::{Pairing, rotate},
    },
};

/// Rotates each pair `(x[2i], x[2i+1])` by the angle whose cosine and sine are `cos[s, i]`, `sin[s, i]`: Z-Image.
///
/// `x` `[B, S, H, D]`, `cos` and `sin` `[S, D/2]`, `[1, S, D/2]` or `[B, S, D/2]` (constants: they receive no gradient).
pub fn rope_pairs(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    rope(x, cos, sin, Pairing::Neighbours)
}

/// Rotates each pair `(x[i], x[i+D/2])`: Llama's layout, which Qwen keeps. Shapes as for [`rope_pairs`].
pub fn rope_halves(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    rope(x, cos, sin, Pairing::Halves)
}

fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor, pairing: Pairing) -> Result<Tensor> {
    let (cos, sin) = (cos.detach(), sin.detach());
    if !is_host_float(x) {
        let value = composite(&x.detach(), &cos, &sin, pairing)?;
        return graft([x], value, move |_, grad| {
            Ok([Some(composite(grad, &cos, &sin.neg()?, pairing)?)])
        });
    }
    graft([x], rotate(x, &cos, &sin, pairing)?, move |_, grad| {
        Ok([Some(rotate(grad, &cos, &sin.neg()?, pairing)?)])
    })
}

fn composite(x: &Tensor, cos: &Tensor, sin: &Tensor, pairing: Pairing) -> Result<Tensor> {
    let (batch, tokens, heads, size) = x.dims4()?;
    let half = size / 2;
    let angle = |t: &Tensor| {
        let items = t.elem_count() / (tokens * half);
        t.detach()
            .to_dtype(x.dtype())?
            .reshape((items, tokens, 1, half))
    };
    let (cos, sin) = (angle(cos)?, angle(sin)?);
    let (split, along) = match pairing {
        Pairing::Neighbours => ((batch, tokens, heads, half, 2), D::Minus1),
        Pairing::Halves => ((batch, tokens, heads, 2, half), D::Minus2),
    };
    let pairs = x.reshape(split)?;
    let a = pairs.narrow(along, 0, 1)?.squeeze(along)?;
    let b = pairs.narrow(along, 1, 1)?.squeeze(along)?;
    let turned_a = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let turned_b = (a.broadcast_mul(&sin)? + b.broadcast_mul(&cos)?)?;
    let axis = match pairing {
        Pairing::Neighbours => 4,
        Pairing::Halves => 3,
    };
    Tensor::stack(&[turned_a, turned_b], axis)?.reshape(x.shape())
}

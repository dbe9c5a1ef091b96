//! Rotary position embedding (arXiv 2104.09864), in both layouts that checkpoints use.
use candle_core::{Result, Tensor};
use candle_nn::rotary_emb::{self, rope_i};

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
        let value = on_device(&x.detach(), &cos, &sin, pairing)?;
        return graft([x], value, move |_, grad| {
            Ok([Some(on_device(grad, &cos, &sin.neg()?, pairing)?)])
        });
    }
    graft([x], rotate(x, &cos, &sin, pairing)?, move |_, grad| {
        Ok([Some(rotate(grad, &cos, &sin.neg()?, pairing)?)])
    })
}

/// By candle's kernels, to which a head is a token of its own. Outside the graph.
#[expect(clippy::disallowed_methods, reason = "the backward is the graft's")]
pub(super) fn on_device(
    x: &Tensor,
    cos: &Tensor,
    sin: &Tensor,
    pairing: Pairing,
) -> Result<Tensor> {
    let (batch, tokens, heads, size) = x.dims4()?;
    let half = size / 2;
    let of_heads = |t: &Tensor| {
        let items = t.elem_count() / (tokens * half);
        let each = t.to_dtype(x.dtype())?.reshape((items, tokens, 1, half))?;
        let each = each.broadcast_as((items, tokens, heads, half))?;
        let all = each.contiguous()?.reshape((items, tokens * heads, half))?;
        if items == 1 { all.squeeze(0) } else { Ok(all) }
    };
    let (cos, sin) = (of_heads(cos)?, of_heads(sin)?);
    let rows = x.contiguous()?.reshape((batch, 1, tokens * heads, size))?;
    let turned = match pairing {
        Pairing::Neighbours => rope_i(&rows, &cos, &sin)?,
        Pairing::Halves => rotary_emb::rope(&rows, &cos, &sin)?,
    };
    turned.reshape(x.shape())
}

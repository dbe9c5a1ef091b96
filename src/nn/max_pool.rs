//! Halving an image by the largest of each 2x2 block.
use candle_core::{D, Result, Tensor};

use super::graft::graft;

/// The largest value of each 2x2 block; an odd last row or column is left out. `[B, C, H, W]` to `[B, C, H/2, W/2]`.
///
/// The gradient goes to the first of the largest, as in PyTorch; candle's own shares it out wrongly.
pub fn max_pool_2x(x: &Tensor) -> Result<Tensor> {
    let values = blocks(&x.detach())?.max(D::Minus1)?;
    graft([x], values, |[x], grad| {
        let largest = blocks(x)?.argmax_keepdim(D::Minus1)?;
        let places = Tensor::arange(0u32, 4, x.device())?;
        let chosen = largest.broadcast_eq(&places)?.to_dtype(grad.dtype())?;
        let (batch, channels, height, width) = grad.dims4()?;
        let spread = grad.unsqueeze(D::Minus1)?.broadcast_mul(&chosen)?;
        let spread = spread
            .reshape((batch, channels, height, width, 2, 2))?
            .permute((0, 1, 2, 4, 3, 5))?
            .reshape((batch, channels, 2 * height, 2 * width))?;
        let (_, _, rows, columns) = x.dims4()?;
        Ok([Some(
            spread
                .pad_with_zeros(2, 0, rows - 2 * height)?
                .pad_with_zeros(3, 0, columns - 2 * width)?,
        )])
    })
}

/// `[B, C, H, W]` to `[B, C, H/2, W/2, 4]`, row by row.
fn blocks(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let (height, width) = (height / 2, width / 2);
    x.narrow(2, 0, 2 * height)?
        .narrow(3, 0, 2 * width)?
        .reshape((batch, channels, height, 2, width, 2))?
        .permute((0, 1, 2, 4, 3, 5))?
        .reshape((batch, channels, height, width, 4))
}

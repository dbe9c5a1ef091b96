//! The squares that SigLIP looks at.
use candle_core::{Result, Tensor};

use super::{
    super::{
        pixels::channels,
        resize::{Rounding, resize_in_range},
    },
    anyres::{Layout, Size},
};

/// A picture beside others: one square, filled up with `background`. `[3, H, W]` to `[1, 3, side, side]`
pub(super) fn squared(
    x: &Tensor,
    side: usize,
    background: [f64; 3],
    rounding: Rounding,
) -> Result<Tensor> {
    let (_, height, width) = x.dims3()?;
    let longest = height.max(width);
    let square = centred(x, (longest, longest), background)?;
    resize_in_range(&square, (side, side), rounding)?.unsqueeze(0)
}

/// A picture on its own: squashed into one square, then tile by tile on black. `[3, H, W]` to `[1 + tiles, 3, side, side]`
pub(super) fn tiled(
    x: &Tensor,
    side: usize,
    layout: &Layout,
    rounding: Rounding,
) -> Result<Tensor> {
    let whole = resize_in_range(x, (side, side), rounding)?.unsqueeze(0)?;
    let picture = resize_in_range(x, layout.picture, rounding)?;
    let canvas = centred(&picture, layout.canvas, [0.0; 3])?;
    let (rows, columns) = layout.tiles;
    let tiles = canvas
        .reshape(&[3, rows, side, columns, side])?
        .permute([1, 3, 0, 2, 4])?
        .contiguous()?
        .reshape((rows * columns, 3, side, side))?;
    Tensor::cat(&[whole, tiles], 0)
}

/// `x` in the middle of a larger plane of one colour; an odd pixel more goes below or to the right. `[3, H, W]`
fn centred(x: &Tensor, (height, width): Size, colour: [f64; 3]) -> Result<Tensor> {
    let colour = channels(colour, x)?;
    let mut x = x.clone();
    for (dim, length) in [(1, height), (2, width)] {
        let missing = length - x.dim(dim)?;
        let strip = |count| {
            let mut shape = x.dims().to_vec();
            shape[dim] = count;
            colour.broadcast_as(shape)?.contiguous()
        };
        let parts = [
            strip(missing / 2)?,
            x.clone(),
            strip(missing - missing / 2)?,
        ];
        let parts: Vec<_> = parts.iter().filter(|part| part.elem_count() > 0).collect();
        x = Tensor::cat(&parts, dim)?;
    }
    x.contiguous()
}

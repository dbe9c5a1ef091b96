//! Images spread over a larger grid of zeros, channel by channel.
use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    real::Real,
};

/// Where an image lies on a larger grid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Rows and columns of the grid.
    pub grid: [usize; 2],
    /// Row and column of the image's first pixel.
    pub first: [usize; 2],
    /// From one pixel of the image to the next.
    pub step: usize,
}

/// `x [B, C, H, W]` on its place of zeros: `[C, B * rows * columns]`. Host, not part of the graph.
pub(crate) fn spread_channels(x: &Tensor, place: Place) -> Result<Tensor> {
    for_float!(x, spread(x, place))
}

fn spread<T: Real>(x: &Tensor, place: Place) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let Place {
        grid: [rows, columns],
        first: [top, left],
        step,
    } = place;
    let last = |first: usize, count: usize| first + (count - 1) * step;
    if height == 0 || width == 0 || last(top, height) >= rows || last(left, width) >= columns {
        bail!("an image of {height} x {width} does not fit on {place:?}")
    }
    let count = x.elem_count();
    let x = x.contiguous()?;
    let (x, layout) = x.storage_and_layout();
    let x = &values::<T>(&x, layout)?[..count];
    let mut y = vec![T::ZERO; channels * batch * rows * columns];
    let planes = y.par_chunks_mut(rows * columns).enumerate();
    planes.for_each(|(at, y)| {
        let (channel, item) = (at / batch, at % batch);
        let x = &x[(item * channels + channel) * height * width..][..height * width];
        for (row, x) in x.chunks_exact(width).enumerate() {
            let y = &mut y[(top + row * step) * columns + left..];
            if step == 1 {
                y[..width].copy_from_slice(x);
            } else {
                for (y, x) in y.iter_mut().step_by(step).zip(x) {
                    *y = *x;
                }
            }
        }
    });
    Tensor::from_vec(y, (channels, batch * rows * columns), &Device::Cpu)
}

//! Sums that a trained layer's own gradients are: over rows, or over items and pixels.
//!
//! Partial sums are of fixed parts and added in their order, whatever the number of threads.
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    norm::sum1,
    real::Real,
};

/// Rows of one partial sum.
const ROWS: usize = 128;

/// The sum of the rows of `x [R, C]`: `[C]`. Host, not part of the graph.
pub(crate) fn column_sums(x: &Tensor) -> Result<Tensor> {
    for_float!(x, columns_of(x))
}

/// The sum over items and pixels of `x [B, C, H, W]`: `[C]`. Host, not part of the graph.
pub(crate) fn channel_sums(x: &Tensor) -> Result<Tensor> {
    for_float!(x, channels_of(x))
}

fn columns_of<T: Real>(x: &Tensor) -> Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    let x = x.contiguous()?;
    let (x, layout) = x.storage_and_layout();
    let x = &values::<T>(&x, layout)?[..rows * columns];
    let parts: Vec<Vec<T>> = x
        .par_chunks((ROWS * columns).max(1))
        .map(|part| added(part.chunks_exact(columns), columns))
        .collect();
    let total = added(parts.iter().map(Vec::as_slice), columns);
    Tensor::from_vec(total, columns, &Device::Cpu)
}

fn channels_of<T: Real>(x: &Tensor) -> Result<Tensor> {
    let (_, channels, height, width) = x.dims4()?;
    let count = x.elem_count();
    let x = x.contiguous()?;
    let (x, layout) = x.storage_and_layout();
    let planes: Vec<T> = values::<T>(&x, layout)?[..count]
        .par_chunks((height * width).max(1))
        .map(|plane| sum1(plane, |x| x))
        .collect();
    Tensor::from_vec(
        added(planes.chunks_exact(channels), channels),
        channels,
        &Device::Cpu,
    )
}

/// The sum of rows of one width, in their order.
pub(super) fn added<'a, T: Real>(rows: impl Iterator<Item = &'a [T]>, width: usize) -> Vec<T> {
    let mut total = vec![T::ZERO; width];
    for row in rows {
        for (total, value) in total.iter_mut().zip(row) {
            *total += *value;
        }
    }
    total
}

//! Nearest-neighbour enlargement by two, and its adjoint.
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    real::Real,
    scratch::zeros,
};

/// `[B, C, H, W]` to `[B, C, 2H, 2W]`. Host, not part of the graph.
pub(crate) fn enlarge(x: &Tensor) -> Result<Tensor> {
    for_float!(x, enlarge_of(x))
}

/// Sums each 2x2 block: `[B, C, 2H, 2W]` to `[B, C, H, W]`.
pub(crate) fn enlarge_backward(grad: &Tensor) -> Result<Tensor> {
    for_float!(grad, sum_blocks(grad))
}

fn enlarge_of<T: Real>(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let x = x.contiguous()?;
    let (x, layout) = x.storage_and_layout();
    let x = &values::<T>(&x, layout)?[..layout.shape().elem_count()];
    let mut y = zeros(4 * x.len());
    y.par_chunks_mut(4 * height * width)
        .zip(x.par_chunks(height * width))
        .for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(4 * width).zip(x.chunks_exact(width)) {
                let (first, second) = y.split_at_mut(2 * width);
                let (pairs, _) = first.as_chunks_mut::<2>();
                for (pair, x) in pairs.iter_mut().zip(x) {
                    *pair = [*x; 2];
                }
                second.copy_from_slice(first);
            }
        });
    Tensor::from_vec(y, (batch, channels, 2 * height, 2 * width), &Device::Cpu)
}

fn sum_blocks<T: Real>(grad: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = grad.dims4()?;
    let grad = grad.contiguous()?;
    let (grad, layout) = grad.storage_and_layout();
    let grad = &values::<T>(&grad, layout)?[..layout.shape().elem_count()];
    let mut y = zeros(grad.len() / 4);
    let planes = grad.par_chunks(height * width);
    y.par_chunks_mut(height * width / 4)
        .zip(planes)
        .for_each(|(y, grad)| {
            for (y, grad) in y
                .chunks_exact_mut(width / 2)
                .zip(grad.chunks_exact(2 * width))
            {
                let (first, second) = grad.split_at(width);
                let (first, _) = first.as_chunks::<2>();
                let (second, _) = second.as_chunks::<2>();
                for ((y, first), second) in y.iter_mut().zip(first).zip(second) {
                    *y = (first[0] + first[1]) + (second[0] + second[1]);
                }
            }
        });
    Tensor::from_vec(y, (batch, channels, height / 2, width / 2), &Device::Cpu)
}

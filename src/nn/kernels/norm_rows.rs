//! Root-mean-square and layer norm of rows.
use candle_core::{Device, Result, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    norm::{Moments, sum1, sum2},
    real::Real,
};

/// Numbers of one task at least.
const CHUNK: usize = 1 << 14;

/// Which of the two norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Centre {
    /// Layer norm: the mean is taken off.
    Mean,
    /// Rms norm.
    Zero,
}

/// A norm of rows.
#[derive(Clone, Copy)]
pub(crate) struct RowNorm {
    pub centre: Centre,
    pub eps: f64,
}

impl RowNorm {
    /// `x [.., D]` normalised and multiplied by `weight [D]`. Host, not part of the graph.
    pub(crate) fn forward(self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        for_float!(x, forward(self, x, weight))
    }

    /// The gradient of `x` from that of the answer.
    pub(crate) fn backward(self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<Tensor> {
        for_float!(x, backward(self, x, weight, grad))
    }

    #[inline(always)]
    fn moments<T: Real>(self, x: &[T]) -> Moments<T> {
        match self.centre {
            Centre::Mean => Moments::centred(x, self.eps),
            Centre::Zero => Moments::uncentred(x, self.eps),
        }
    }
}

fn forward<T: Real>(norm: RowNorm, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let shape = x.shape().clone();
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let (x, x_layout) = x.storage_and_layout();
    let (weight, weight_layout) = weight.storage_and_layout();
    let width = weight_layout.shape().elem_count();
    let x = &values::<T>(&x, x_layout)?[..shape.elem_count()];
    let weight = &values::<T>(&weight, weight_layout)?[..width];
    let mut y = vec![T::ZERO; x.len()];
    let chunk = width * CHUNK.div_ceil(width);
    let arch = Arch::new();
    y.par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .for_each(|(y, x)| {
            arch.dispatch(Forward { norm, x, weight, y });
        });
    Tensor::from_vec(y, shape, &Device::Cpu)
}

fn backward<T: Real>(norm: RowNorm, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let shape = x.shape().clone();
    let (x, weight, grad) = (x.contiguous()?, weight.contiguous()?, grad.contiguous()?);
    let (x, x_layout) = x.storage_and_layout();
    let (weight, weight_layout) = weight.storage_and_layout();
    let (grad, grad_layout) = grad.storage_and_layout();
    let width = weight_layout.shape().elem_count();
    let x = &values::<T>(&x, x_layout)?[..shape.elem_count()];
    let grad = &values::<T>(&grad, grad_layout)?[..shape.elem_count()];
    let weight = &values::<T>(&weight, weight_layout)?[..width];
    let mut y = vec![T::ZERO; x.len()];
    let chunk = width * CHUNK.div_ceil(width);
    let arch = Arch::new();
    let inputs = x.par_chunks(chunk).zip(grad.par_chunks(chunk));
    y.par_chunks_mut(chunk)
        .zip(inputs)
        .for_each(|(y, (x, grad))| {
            arch.dispatch(Backward {
                norm,
                x,
                grad,
                weight,
                y,
            });
        });
    Tensor::from_vec(y, shape, &Device::Cpu)
}

struct Forward<'a, T> {
    norm: RowNorm,
    x: &'a [T],
    weight: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> WithSimd for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.weight.len();
        for (y, x) in self
            .y
            .chunks_exact_mut(width)
            .zip(self.x.chunks_exact(width))
        {
            let moments = self.norm.moments(x);
            for ((y, x), weight) in y.iter_mut().zip(x).zip(self.weight) {
                *y = moments.normal(*x) * *weight;
            }
        }
    }
}

struct Backward<'a, T> {
    norm: RowNorm,
    x: &'a [T],
    grad: &'a [T],
    weight: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> WithSimd for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.weight.len();
        let count = T::of(width as f64);
        let inputs = self
            .x
            .chunks_exact(width)
            .zip(self.grad.chunks_exact(width));
        for (y, (x, grad)) in self.y.chunks_exact_mut(width).zip(inputs) {
            let moments = self.norm.moments(x);
            for ((y, grad), weight) in y.iter_mut().zip(grad).zip(self.weight) {
                *y = *grad * *weight;
            }
            let mean = match self.norm.centre {
                Centre::Mean => sum1(y, |grad| grad) / count,
                Centre::Zero => T::ZERO,
            };
            let along = sum2(y, x, |grad, x| grad * moments.normal(x)) / count;
            for (y, x) in y.iter_mut().zip(x) {
                *y = moments.inverse * (*y - mean - moments.normal(*x) * along);
            }
        }
    }
}

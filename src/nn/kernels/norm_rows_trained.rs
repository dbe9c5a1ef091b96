//! The gradient of the weight of a norm of rows.
use candle_core::{D, Device, Result, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    norm_rows::RowNorm,
    real::Real,
    sums::added,
};

/// Rows of one partial sum.
const ROWS: usize = 128;

impl RowNorm {
    /// The gradient of the weight `[D]` of rows `x [.., D]` from that of the answer.
    pub(crate) fn weight_gradient(self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        for_float!(x, weight_gradient(self, x, grad))
    }
}

fn weight_gradient<T: Real>(norm: RowNorm, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (count, width) = (x.elem_count(), x.dim(D::Minus1)?);
    let (x, grad) = (x.contiguous()?, grad.contiguous()?);
    let (x, x_layout) = x.storage_and_layout();
    let (grad, grad_layout) = grad.storage_and_layout();
    let x = &values::<T>(&x, x_layout)?[..count];
    let grad = &values::<T>(&grad, grad_layout)?[..count];
    let arch = Arch::new();
    let inputs = x
        .par_chunks(ROWS * width)
        .zip(grad.par_chunks(ROWS * width));
    let parts: Vec<Vec<T>> = inputs
        .map(|(x, grad)| {
            let mut sum = vec![T::ZERO; width];
            arch.dispatch(Part {
                norm,
                x,
                grad,
                sum: &mut sum,
            });
            sum
        })
        .collect();
    let total = added(parts.iter().map(Vec::as_slice), width);
    Tensor::from_vec(total, width, &Device::Cpu)
}

struct Part<'a, T> {
    norm: RowNorm,
    x: &'a [T],
    grad: &'a [T],
    sum: &'a mut [T],
}

impl<T: Real> WithSimd for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.sum.len();
        let rows = self
            .x
            .chunks_exact(width)
            .zip(self.grad.chunks_exact(width));
        for (x, grad) in rows {
            let moments = self.norm.moments(x);
            for ((sum, x), grad) in self.sum.iter_mut().zip(x).zip(grad) {
                *sum += moments.normal(*x) * *grad;
            }
        }
    }
}

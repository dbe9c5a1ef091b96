//! Root-mean-square and layer norm of rows.
use candle_core::{Device, Result, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    norm::{Moments, sum1, sum2},
    real::Real,
    scratch::zeros,
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

/// What normalised rows are multiplied by.
#[derive(Debug, Clone)]
pub(crate) struct Factors {
    /// `[items * runs, D]`
    pub table: Tensor,
    /// Where each run of rows of an item ends; the last end is the length of an item.
    pub ends: Vec<usize>,
}

impl Factors {
    /// `weight [D]` for every row.
    pub(crate) fn all(weight: &Tensor) -> Result<Self> {
        Ok(Self {
            table: weight.unsqueeze(0)?,
            ends: vec![usize::MAX],
        })
    }
}

impl RowNorm {
    /// `x [.., D]` normalised and multiplied. Host, not part of the graph.
    pub(crate) fn forward(self, x: &Tensor, factors: &Factors) -> Result<Tensor> {
        for_float!(x, forward(self, x, factors))
    }

    /// The gradient of `x` from that of the answer.
    pub(crate) fn backward(self, x: &Tensor, factors: &Factors, grad: &Tensor) -> Result<Tensor> {
        for_float!(x, backward(self, x, factors, grad))
    }

    #[inline(always)]
    pub(super) fn moments<T: Real>(self, x: &[T]) -> Moments<T> {
        match self.centre {
            Centre::Mean => Moments::centred(x, self.eps),
            Centre::Zero => Moments::uncentred(x, self.eps),
        }
    }
}

/// [`Factors`] as the kernels read them.
#[derive(Clone, Copy)]
struct Table<'a, T> {
    values: &'a [T],
    width: usize,
    ends: &'a [usize],
}

impl<'a, T: Real> Table<'a, T> {
    #[inline(always)]
    fn row(&self, at: usize) -> &'a [T] {
        let item = self.ends.last().map_or(1, |end| *end);
        let run = self.ends.partition_point(|end| *end <= at % item);
        let index = at / item * self.ends.len() + run;
        &self.values[index * self.width..(index + 1) * self.width]
    }
}

fn forward<T: Real>(norm: RowNorm, x: &Tensor, factors: &Factors) -> Result<Tensor> {
    let shape = x.shape().clone();
    let (x, table) = (x.contiguous()?, factors.table.contiguous()?);
    let (x, x_layout) = x.storage_and_layout();
    let (table, table_layout) = table.storage_and_layout();
    let x = &values::<T>(&x, x_layout)?[..shape.elem_count()];
    let width = table_layout.shape().dims2()?.1;
    let factors = Table {
        values: values::<T>(&table, table_layout)?,
        width,
        ends: &factors.ends,
    };
    let mut y = zeros(x.len());
    let rows = CHUNK.div_ceil(width);
    let arch = Arch::new();
    let chunks = y
        .par_chunks_mut(rows * width)
        .zip(x.par_chunks(rows * width));
    chunks.enumerate().for_each(|(chunk, (y, x))| {
        arch.dispatch(Forward {
            norm,
            first: chunk * rows,
            factors,
            x,
            y,
        });
    });
    Tensor::from_vec(y, shape, &Device::Cpu)
}

fn backward<T: Real>(
    norm: RowNorm,
    x: &Tensor,
    factors: &Factors,
    grad: &Tensor,
) -> Result<Tensor> {
    let shape = x.shape().clone();
    let (x, table, grad) = (
        x.contiguous()?,
        factors.table.contiguous()?,
        grad.contiguous()?,
    );
    let (x, x_layout) = x.storage_and_layout();
    let (table, table_layout) = table.storage_and_layout();
    let (grad, grad_layout) = grad.storage_and_layout();
    let x = &values::<T>(&x, x_layout)?[..shape.elem_count()];
    let grad = &values::<T>(&grad, grad_layout)?[..shape.elem_count()];
    let width = table_layout.shape().dims2()?.1;
    let factors = Table {
        values: values::<T>(&table, table_layout)?,
        width,
        ends: &factors.ends,
    };
    let mut y = zeros(x.len());
    let rows = CHUNK.div_ceil(width);
    let arch = Arch::new();
    let inputs = x
        .par_chunks(rows * width)
        .zip(grad.par_chunks(rows * width));
    let chunks = y.par_chunks_mut(rows * width).zip(inputs);
    chunks.enumerate().for_each(|(chunk, (y, (x, grad)))| {
        arch.dispatch(Backward {
            norm,
            first: chunk * rows,
            factors,
            x,
            grad,
            y,
        });
    });
    Tensor::from_vec(y, shape, &Device::Cpu)
}

struct Forward<'a, T> {
    norm: RowNorm,
    /// Index of the first row.
    first: usize,
    factors: Table<'a, T>,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> WithSimd for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.factors.width;
        let rows = self
            .y
            .chunks_exact_mut(width)
            .zip(self.x.chunks_exact(width));
        for (at, (y, x)) in rows.enumerate() {
            let moments = self.norm.moments(x);
            for ((y, x), factor) in y.iter_mut().zip(x).zip(self.factors.row(self.first + at)) {
                *y = moments.normal(*x) * *factor;
            }
        }
    }
}

struct Backward<'a, T> {
    norm: RowNorm,
    first: usize,
    factors: Table<'a, T>,
    x: &'a [T],
    grad: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> WithSimd for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.factors.width;
        let count = T::of(width as f64);
        let inputs = self
            .x
            .chunks_exact(width)
            .zip(self.grad.chunks_exact(width));
        let rows = self.y.chunks_exact_mut(width).zip(inputs);
        for (at, (y, (x, grad))) in rows.enumerate() {
            let moments = self.norm.moments(x);
            let factors = self.factors.row(self.first + at);
            for ((y, grad), factor) in y.iter_mut().zip(grad).zip(factors) {
                *y = *grad * *factor;
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

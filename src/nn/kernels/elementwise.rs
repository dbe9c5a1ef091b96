//! Element-wise operations in one pass, several threads.
use candle_core::{DType, Device, Result, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{host::values, real::Real};

/// Elements of one task.
const CHUNK: usize = 1 << 14;

/// A function of `N` numbers.
pub(crate) trait Function<const N: usize>: Copy + Send + Sync {
    fn value<T: Real>(self, x: [T; N]) -> T;
}

/// `function` of tensors of one shape. Host, not part of the graph.
pub(crate) fn map<const N: usize>(
    function: impl Function<N>,
    inputs: [&Tensor; N],
) -> Result<Tensor> {
    match inputs[0].dtype() {
        DType::F64 => map_of::<f64, N>(function, inputs),
        _ => map_of::<f32, N>(function, inputs),
    }
}

fn map_of<T: Real, const N: usize>(
    function: impl Function<N>,
    inputs: [&Tensor; N],
) -> Result<Tensor> {
    let shape = inputs[0].shape().clone();
    if inputs.iter().any(|input| *input.shape() != shape) {
        bail!(
            "an element-wise operation of shapes {:?}",
            inputs.map(Tensor::shape)
        )
    }
    let count = shape.elem_count();
    let contiguous = inputs
        .into_iter()
        .map(Tensor::contiguous)
        .collect::<Result<Vec<_>>>()?;
    let stored: Vec<_> = contiguous.iter().map(Tensor::storage_and_layout).collect();
    let mut x: [&[T]; N] = [&[]; N];
    for (x, (storage, layout)) in x.iter_mut().zip(&stored) {
        *x = &values::<T>(storage, layout)?[..count];
    }
    let mut y = vec![T::ZERO; count];
    let arch = Arch::new();
    y.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, y)| {
        let x = x.map(|x| &x[chunk * CHUNK..][..y.len()]);
        arch.dispatch(Chunk { function, x, y });
    });
    Tensor::from_vec(y, shape, &Device::Cpu)
}

struct Chunk<'a, F, T, const N: usize> {
    function: F,
    x: [&'a [T]; N],
    y: &'a mut [T],
}

impl<F: Function<N>, T: Real, const N: usize> WithSimd for Chunk<'_, F, T, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { function, x, y } = self;
        let x: [&[T]; N] = x.map(|x| &x[..y.len()]);
        for at in 0..y.len() {
            let mut point = [T::ZERO; N];
            for (value, x) in point.iter_mut().zip(&x) {
                *value = x[at];
            }
            y[at] = function.value(point);
        }
    }
}

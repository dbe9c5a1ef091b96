//! Element-wise operations in one pass, several threads.
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Result, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    host::values,
    real::Real,
    scratch::{BLOCK, BLOCKS},
};

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
    let arch = Arch::new();
    let blocks = (0..count.div_ceil(BLOCK)).into_par_iter();
    let blocks = blocks.with_min_len(BLOCKS).map(|block| {
        let mut y = [T::ZERO; BLOCK];
        let first = block * BLOCK;
        let x = x.map(|x| &x[first..count.min(first + BLOCK)]);
        let y_of_x = &mut y[..BLOCK.min(count - first)];
        arch.dispatch(Chunk {
            function,
            x,
            y: y_of_x,
        });
        y
    });
    // whole blocks, so that the answer is written once and its memory is not cleared before
    let mut y = blocks.collect::<Vec<_>>().into_flattened();
    y.truncate(count);
    Tensor::from_vec(y, shape, &Device::Cpu)
}

/// Adds `x` to `sum` of the same shape, in its memory. Host, not part of the graph.
pub(crate) fn add_in_place(sum: &Tensor, x: &Tensor) -> Result<()> {
    if sum.dims() != x.dims() || !sum.is_contiguous() {
        bail!("{:?} cannot be added to {:?}", x.dims(), sum.layout())
    }
    sum.inplace_op2(&x.contiguous()?, &Increase)
}

struct Increase;

impl InplaceOp2 for Increase {
    fn name(&self) -> &'static str {
        "add-in-place"
    }

    fn cpu_fwd(
        &self,
        sum: &mut CpuStorage,
        sum_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> Result<()> {
        match x {
            CpuStorage::F64(_) => increase::<f64>((sum, sum_layout), (x, x_layout)),
            _ => increase::<f32>((sum, sum_layout), (x, x_layout)),
        }
    }
}

fn increase<T: Real>(
    (sum, sum_layout): (&mut CpuStorage, &Layout),
    (x, x_layout): (&CpuStorage, &Layout),
) -> Result<()> {
    let count = sum_layout.shape().elem_count();
    let sum = &mut T::slice_mut(sum)?[sum_layout.start_offset()..][..count];
    let x = &T::cpu_storage_as_slice(x)?[x_layout.start_offset()..][..count];
    let size = BLOCK * BLOCKS;
    let chunks = sum.par_chunks_mut(size).zip(x.par_chunks(size));
    chunks.for_each(|(sum, x)| {
        for (sum, x) in sum.iter_mut().zip(x) {
            *sum += *x;
        }
    });
    Ok(())
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

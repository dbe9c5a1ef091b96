//! Rotation of pairs by a per-token angle.
use candle_core::{Device, Result, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    real::Real,
};

/// Tokens of one task.
const TOKENS: usize = 32;

/// `x [B, S, H, D]`, `cos` and `sin` `[S, D/2]`. Host, not part of the graph.
pub(crate) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    for_float!(x, rotate_of(x, cos, sin))
}

fn rotate_of<T: Real>(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (_, tokens, heads, size) = x.dims4()?;
    if size % 2 != 0 || cos.dims() != [tokens, size / 2] || sin.dims() != cos.dims() {
        bail!(
            "a rotation of {:?} needs cosines and sines [S, D/2], not {:?} and {:?}",
            x.dims(),
            cos.dims(),
            sin.dims()
        )
    }
    let shape = x.shape().clone();
    let angle = |t: &Tensor| t.to_dtype(x.dtype())?.contiguous();
    let (cos, sin, x) = (angle(cos)?, angle(sin)?, x.contiguous()?);
    let (x, x_layout) = x.storage_and_layout();
    let (cos, cos_layout) = cos.storage_and_layout();
    let (sin, sin_layout) = sin.storage_and_layout();
    let x = &values::<T>(&x, x_layout)?[..shape.elem_count()];
    let angles = [
        values::<T>(&cos, cos_layout)?,
        values::<T>(&sin, sin_layout)?,
    ];
    let mut y = vec![T::ZERO; x.len()];
    let item = tokens * heads * size;
    let arch = Arch::new();
    let tasks: Vec<_> = y
        .chunks_mut(item)
        .zip(x.chunks(item))
        .flat_map(|(y, x)| {
            let chunk = TOKENS * heads * size;
            y.chunks_mut(chunk).zip(x.chunks(chunk)).enumerate()
        })
        .collect();
    tasks.into_par_iter().for_each(|(chunk, (y, x))| {
        let angles = angles.map(|values| &values[chunk * TOKENS * size / 2..]);
        arch.dispatch(Chunk {
            angles,
            heads,
            half: size / 2,
            x,
            y,
        });
    });
    Tensor::from_vec(y, shape, &Device::Cpu)
}

struct Chunk<'a, T> {
    /// Cosines and sines from the first token on.
    angles: [&'a [T]; 2],
    heads: usize,
    half: usize,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> WithSimd for Chunk<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            angles: [cos, sin],
            heads,
            half,
            x,
            y,
        } = self;
        let (y, _) = y.as_chunks_mut::<2>();
        let (x, _) = x.as_chunks::<2>();
        let rows = y.chunks_exact_mut(half).zip(x.chunks_exact(half));
        for (at, (y, x)) in rows.enumerate() {
            let angle = at / heads * half;
            let angles = cos[angle..angle + half]
                .iter()
                .zip(&sin[angle..angle + half]);
            for ((y, [even, odd]), (cos, sin)) in y.iter_mut().zip(x).zip(angles) {
                *y = [*even * *cos - *odd * *sin, *even * *sin + *odd * *cos];
            }
        }
    }
}

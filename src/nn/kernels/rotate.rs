//! Rotation of pairs by a per-token angle.
use candle_core::{Device, Result, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    real::Real,
    scratch::zeros,
};

/// Which two components of a head turn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// `2i` and `2i + 1`.
    Neighbours,
    /// `i` and `i + D/2`.
    Halves,
}

/// Tokens of one task.
const TOKENS: usize = 32;

/// `x [B, S, H, D]`, `cos` and `sin` `[S, D/2]`, `[1, S, D/2]` or `[B, S, D/2]`. Host, not part of the graph.
pub(crate) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor, pairing: Pairing) -> Result<Tensor> {
    for_float!(x, rotate_of(x, cos, sin, pairing))
}

fn rotate_of<T: Real>(x: &Tensor, cos: &Tensor, sin: &Tensor, pairing: Pairing) -> Result<Tensor> {
    let (batch, tokens, heads, size) = x.dims4()?;
    let each = [batch, tokens, size / 2];
    let shared = cos.dims() == &each[1..] || cos.dims() == [1, tokens, size / 2];
    if size % 2 != 0 || !(shared || cos.dims() == each) || sin.dims() != cos.dims() {
        bail!(
            "a rotation of {:?} needs cosines and sines [S, D/2], [1, S, D/2] or [B, S, D/2], not {:?} and {:?}",
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
    let mut y = zeros(x.len());
    let item = tokens * heads * size;
    let item_angles = if shared { 0 } else { tokens * size / 2 };
    let arch = Arch::new();
    let tasks: Vec<_> = y
        .chunks_mut(item)
        .zip(x.chunks(item))
        .enumerate()
        .flat_map(|(at, (y, x))| {
            let chunk = TOKENS * heads * size;
            let starts = (at * item_angles..).step_by(TOKENS * size / 2);
            starts.zip(y.chunks_mut(chunk).zip(x.chunks(chunk)))
        })
        .collect();
    tasks.into_par_iter().for_each(|(start, (y, x))| {
        let angles = angles.map(|values| &values[start..]);
        arch.dispatch(Chunk {
            angles,
            heads,
            half: size / 2,
            pairing,
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
    pairing: Pairing,
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
            pairing,
            x,
            y,
        } = self;
        let rows = y.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half));
        for (at, (y, x)) in rows.enumerate() {
            let angle = at / heads * half;
            let angles = [&cos[angle..angle + half], &sin[angle..angle + half]];
            match pairing {
                Pairing::Neighbours => neighbours(y, x, angles),
                Pairing::Halves => halves(y, x, angles),
            }
        }
    }
}

#[inline(always)]
fn neighbours<T: Real>(y: &mut [T], x: &[T], [cos, sin]: [&[T]; 2]) {
    let (y, _) = y.as_chunks_mut::<2>();
    let (x, _) = x.as_chunks::<2>();
    for ((y, [a, b]), (cos, sin)) in y.iter_mut().zip(x).zip(cos.iter().zip(sin)) {
        *y = [*a * *cos - *b * *sin, *a * *sin + *b * *cos];
    }
}

#[inline(always)]
fn halves<T: Real>(y: &mut [T], x: &[T], [cos, sin]: [&[T]; 2]) {
    let (first, second) = y.split_at_mut(cos.len());
    let (a, b) = x.split_at(cos.len());
    let (second, b, sin) = (&mut second[..cos.len()], &b[..cos.len()], &sin[..cos.len()]);
    for i in 0..cos.len() {
        first[i] = a[i] * cos[i] - b[i] * sin[i];
        second[i] = a[i] * sin[i] + b[i] * cos[i];
    }
}

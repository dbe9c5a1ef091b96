//! Some queries against a panel of keys.
use pulp::Simd;

use super::KEYS;
use crate::nn::kernels::{
    real::Real,
    tile::{Left, Start, multiply},
};

pub(super) struct Block<T> {
    /// `[queries][width]`
    weights: Vec<T>,
    /// Gradients of the scores, `[queries][width]`.
    slopes: Vec<T>,
    /// Taken off the scores of each key: infinite where it takes no part.
    barred: Vec<T>,
    /// `1 / sqrt(D)`
    scale: T,
}

impl<T: Real> Block<T> {
    pub(super) fn new(width: usize, size: usize) -> Self {
        Self {
            weights: vec![T::ZERO; KEYS * width],
            slopes: vec![T::ZERO; KEYS * width],
            barred: vec![T::ZERO; width],
            scale: T::of(1.0 / (size as f64).sqrt()),
        }
    }

    /// Which keys from `first` on take part; those of the panel beyond the last key do not.
    pub(super) fn columns(&mut self, attending: &[bool], first: usize) {
        let keys = attending[first..].iter().copied();
        for (barred, attends) in self
            .barred
            .iter_mut()
            .zip(keys.chain(std::iter::repeat(false)))
        {
            *barred = T::of(if attends { 0.0 } else { f64::INFINITY });
        }
    }

    /// Products with keys and values: scores, and gradients of the weights.
    #[inline(always)]
    pub(super) fn multiply<S: Simd>(
        &mut self,
        simd: S,
        count: usize,
        operands: [(Left<'_, T>, &Vec<T>); 2],
    ) {
        let width = self.barred.len();
        let targets = [&mut self.weights, &mut self.slopes];
        for ((left, panel), target) in operands.into_iter().zip(targets) {
            let mut rows: Vec<_> = target[..count * width].chunks_exact_mut(width).collect();
            multiply(simd, left, panel, (&mut rows, 0), Start::Zero);
        }
    }

    /// Scores become weights, gradients of weights those of scores; `logs` and `shares` one for each query.
    #[inline(always)]
    pub(super) fn finish(&mut self, logs: &[T], shares: &[T]) {
        let barred = &self.barred[..];
        let (width, scale) = (barred.len(), self.scale);
        let powers = scale * T::of(std::f64::consts::LOG2_E);
        let rows = self.weights.chunks_exact_mut(width);
        let rows = rows.zip(self.slopes.chunks_exact_mut(width));
        for ((weights, slopes), (log, share)) in rows.zip(logs.iter().zip(shares)) {
            for ((weight, slope), barred) in weights.iter_mut().zip(slopes).zip(barred) {
                *weight = (*weight * powers - (*log + *barred)).exp2();
                *slope = *weight * (*slope - *share) * scale;
            }
        }
    }

    /// Weights whose key comes after their query are none; the first query sees the keys before number `seen`.
    pub(super) fn hide(&mut self, seen: usize, first: usize) {
        let width = self.barred.len();
        let rows = self.weights.chunks_exact_mut(width);
        let rows = rows.zip(self.slopes.chunks_exact_mut(width));
        for (seen, (weights, slopes)) in (seen..).zip(rows) {
            let hidden = seen.saturating_sub(first).min(width)..;
            weights[hidden.clone()].fill(T::ZERO);
            slopes[hidden].fill(T::ZERO);
        }
    }

    /// Weights and gradients of the scores of the first `count` queries, `[count][width]`.
    pub(super) fn rows(&self, count: usize) -> (&[T], &[T]) {
        let count = count * self.barred.len();
        (&self.weights[..count], &self.slopes[..count])
    }
}

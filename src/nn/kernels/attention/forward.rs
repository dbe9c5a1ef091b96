//! One panel of queries at a time against all keys, with a running maximum and sum.
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    KEYS, Order, Sight,
    heads::{Heads, PackHead, Packed},
};
use crate::nn::kernels::{
    real::Real,
    scratch::zeros,
    tile::{Left, Start, multiply, panel_width},
};

/// `[B, S, H, D]` and `[B, S, H]`.
pub(super) fn run<T: Real>([q, k, v]: [Heads<'_, T>; 3], sight: &Sight) -> (Vec<T>, Vec<T>) {
    Arch::new().dispatch(Run { q, k, v, sight })
}

struct Run<'a, T> {
    q: Heads<'a, T>,
    k: Heads<'a, T>,
    v: Heads<'a, T>,
    sight: &'a Sight,
}

impl<T: Real> WithSimd for Run<'_, T> {
    type Output = (Vec<T>, Vec<T>);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Run { q, k, v, sight } = self;
        let stored = k.heads / k.group;
        let packed: Vec<(Packed<T>, Packed<T>)> = (0..k.batch * stored)
            .into_par_iter()
            .map(|at| {
                let (item, head) = (at / stored, at % stored * k.group);
                let pack = |heads| simd.vectorize(PackHead { heads, item, head });
                (pack(k), pack(v))
            })
            .collect();
        let mut value = zeros(q.batch * q.tokens * q.heads * q.size);
        let mut log_sums = vec![T::ZERO; q.batch * q.tokens * q.heads];
        let width = panel_width::<S, T>();
        let mut tasks = Vec::new();
        let rows = q.tokens * q.heads;
        for (item, (value, log_sums)) in value
            .chunks_mut(rows * q.size)
            .zip(log_sums.chunks_mut(rows))
            .enumerate()
        {
            let panels = value
                .chunks_mut(width * q.heads * q.size)
                .zip(log_sums.chunks_mut(width * q.heads));
            for (panel, (value, log_sums)) in panels.enumerate() {
                tasks.push(Queries {
                    q,
                    packed: &packed[item * stored..(item + 1) * stored],
                    attending: &sight.attending[item],
                    order: sight.order,
                    item,
                    first: panel * width,
                    value,
                    log_sums,
                });
            }
        }
        tasks
            .into_par_iter()
            .for_each(|queries| simd.vectorize(queries));
        (value, log_sums)
    }
}

/// A panel of queries, all heads.
struct Queries<'a, T> {
    q: Heads<'a, T>,
    packed: &'a [(Packed<T>, Packed<T>)],
    attending: &'a [bool],
    order: Order,
    item: usize,
    first: usize,
    /// `[tokens, H, D]`
    value: &'a mut [T],
    /// `[tokens, H]`
    log_sums: &'a mut [T],
}

impl<T: Real> WithSimd for Queries<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = panel_width::<S, T>();
        let Heads { heads, size, .. } = self.q;
        let mut query = vec![T::ZERO; size * width];
        let mut sums = vec![T::ZERO; size * width];
        let mut scores = vec![T::ZERO; KEYS * width];
        let mut running = Running {
            most: vec![T::ZERO; width],
            total: vec![T::ZERO; width],
            factor: vec![T::ZERO; width],
        };
        let scale = T::of(std::f64::consts::LOG2_E / (size as f64).sqrt());
        let group = heads / self.packed.len();
        let tokens = self.attending.len();
        let seen = self.order.seen(self.first + width, tokens);
        for head in 0..heads {
            let (keys, values) = &self.packed[head / group];
            self.q.panel::<S>((self.item, head), self.first, &mut query);
            for x in &mut query {
                *x *= scale;
            }
            sums.fill(T::ZERO);
            running.most.fill(T::of(f64::NEG_INFINITY));
            running.total.fill(T::ZERO);
            for from in (0..seen).step_by(KEYS) {
                let to = (from + KEYS).min(seen);
                let scores = &mut scores[..(to - from) * width];
                let keys = Left {
                    packed: &keys.tokens[from * size..to * size],
                    depth: size,
                    from: 0,
                    to: size,
                };
                let mut rows: Vec<_> = scores.chunks_exact_mut(width).collect();
                multiply(simd, keys, &query, (&mut rows, 0), Start::Zero);
                self.hide(&mut rows, from);
                running.add(scores, width);
                for row in sums.chunks_exact_mut(width) {
                    for (x, factor) in row.iter_mut().zip(&running.factor) {
                        *x *= *factor;
                    }
                }
                let values = Left {
                    packed: &values.components,
                    depth: tokens,
                    from,
                    to,
                };
                let mut rows: Vec<_> = sums.chunks_exact_mut(width).collect();
                multiply(simd, values, scores, (&mut rows, 0), Start::Destination);
            }
            let tokens = self.value.chunks_exact_mut(heads * size);
            for (j, (value, log_sums)) in tokens
                .zip(self.log_sums.chunks_exact_mut(heads))
                .enumerate()
            {
                let total = running.total[j];
                log_sums[head] = running.most[j] + total.ln() * T::of(std::f64::consts::LOG2_E);
                let value = &mut value[head * size..(head + 1) * size];
                for (x, sums) in value.iter_mut().zip(sums.chunks_exact(width)) {
                    *x = sums[j] / total;
                }
            }
        }
    }
}

impl<T: Real> Queries<'_, T> {
    /// Scores of keys from `from` on that their queries do not see.
    #[inline(always)]
    fn hide(&self, scores: &mut [&mut [T]], from: usize) {
        let lowest = T::of(f64::NEG_INFINITY);
        for (key, row) in (from..).zip(scores) {
            if !self.attending[key] {
                row.fill(lowest);
            } else if let Order::Causal { earlier } = self.order {
                let before = key.saturating_sub(earlier + self.first).min(row.len());
                row[..before].fill(lowest);
            }
        }
    }
}

/// The softmax so far, one element a query.
struct Running<T> {
    most: Vec<T>,
    total: Vec<T>,
    /// What the last addition multiplied everything before it by.
    factor: Vec<T>,
}

impl<T: Real> Running<T> {
    /// Turns scores `[keys][width]` (in units of powers of two) into weights relative to the running maximum.
    #[inline(always)]
    fn add(&mut self, scores: &mut [T], width: usize) {
        let (most, total, factor) = (
            &mut self.most[..width],
            &mut self.total[..width],
            &mut self.factor[..width],
        );
        factor.copy_from_slice(most);
        for row in scores.chunks_exact(width) {
            for (most, score) in most.iter_mut().zip(row) {
                *most = most.larger(*score);
            }
        }
        let lowest = T::of(f64::NEG_INFINITY);
        for (j, factor) in factor.iter_mut().enumerate() {
            // no key seen so far: nothing to rescale, and a finite maximum keeps the weights from becoming NaN
            let finite = if most[j] == lowest { T::ZERO } else { most[j] };
            *factor = (*factor - finite).exp2();
            total[j] *= *factor;
        }
        for row in scores.chunks_exact_mut(width) {
            for (j, score) in row.iter_mut().enumerate() {
                let finite = if most[j] == lowest { T::ZERO } else { most[j] };
                *score = (*score - finite).exp2();
                total[j] += *score;
            }
        }
    }
}

//! The gradients, from recomputed weights.
//!
//! Two passes of the same shape, so that every gradient has one owner: a panel of queries against all keys for the
//! gradient of the queries, a panel of keys against all queries for those of the keys and the values.
use candle_core::{Device, Result, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Attended, KEYS, Order, Sight,
    heads::{Heads, PackHead, Packed, readable},
};
use crate::nn::{
    KeyMask,
    kernels::{
        host::values,
        real::Real,
        tile::{Left, Start, multiply, panel_width},
    },
};

pub(super) fn gradients<T: Real>(
    [q, k, v]: &[Tensor; 3],
    mask: &KeyMask,
    attended: &Attended,
    grad: &Tensor,
) -> Result<[Tensor; 3]> {
    let (batch, queries, heads, _) = q.dims4()?;
    let sight = Sight::new(mask, [batch, queries, k.dim(1)?])?;
    // <gradient, value> of each query: what the softmax's normalisation takes back
    let shares = (grad * &attended.value)?.sum(3)?.contiguous()?;
    let [q, k, v, grad] = [q, k, v, grad].map(readable);
    let (q, k, v, grad) = (q?, k?, v?, grad?);
    let (q, q_layout) = q.storage_and_layout();
    let (k, k_layout) = k.storage_and_layout();
    let (v, v_layout) = v.storage_and_layout();
    let (grad, grad_layout) = grad.storage_and_layout();
    let (shares, shares_layout) = shares.storage_and_layout();
    let (log_sums, log_sums_layout) = attended.log_sums.storage_and_layout();
    let grads = Arch::new().dispatch(Run {
        queries: [
            Heads::of(&q, q_layout, heads)?,
            Heads::of(&grad, grad_layout, heads)?,
        ],
        keys: [
            Heads::of(&k, k_layout, heads)?,
            Heads::of(&v, v_layout, heads)?,
        ],
        log_sums: values::<T>(&log_sums, log_sums_layout)?,
        shares: values::<T>(&shares, shares_layout)?,
        sight: &sight,
    });
    let (_, keys, stored, size) = k_layout.shape().dims4()?;
    let [q, k, v] = grads;
    let of_keys = |grads: Vec<T>| {
        let grouped = (batch, keys, stored, heads / stored, size);
        let grads = Tensor::from_vec(grads, grouped, &Device::Cpu)?;
        if stored == heads {
            grads.squeeze(3)
        } else {
            grads.sum(3)
        }
    };
    Ok([
        Tensor::from_vec(q, (batch, queries, heads, size), &Device::Cpu)?,
        of_keys(k)?,
        of_keys(v)?,
    ])
}

struct Run<'a, T> {
    /// Queries and the gradient of their values.
    queries: [Heads<'a, T>; 2],
    /// Keys and values.
    keys: [Heads<'a, T>; 2],
    /// `[B, S, H]`
    log_sums: &'a [T],
    /// `[B, S, H]`
    shares: &'a [T],
    sight: &'a Sight,
}

/// One side of the score matrix, one head.
struct Side<T> {
    packed: [Packed<T>; 2],
    /// Taken off a score before the exponential; infinite for a key that takes no part.
    logs: Vec<T>,
    /// Taken off the gradient of a weight.
    shares: Vec<T>,
}

impl<T: Real> WithSimd for Run<'_, T> {
    type Output = [Vec<T>; 3];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Heads {
            batch,
            tokens,
            heads,
            ..
        } = self.queries[0];
        let pack = |heads: [Heads<'_, T>; 2], item, head| {
            heads.map(|heads| simd.vectorize(PackHead { heads, item, head }))
        };
        let sides: Vec<[Side<T>; 2]> = (0..batch * heads)
            .into_par_iter()
            .map(|at| {
                let (item, head) = (at / heads, at % heads);
                let of_queries = |stored: &[T]| -> Vec<T> {
                    let stored = &stored[item * tokens * heads + head..];
                    stored.iter().step_by(heads).take(tokens).copied().collect()
                };
                let attending = &self.sight.attending[item];
                let log = |attends: &bool| if *attends { 0.0 } else { f64::INFINITY };
                [
                    Side {
                        packed: pack(self.queries, item, head),
                        logs: of_queries(self.log_sums),
                        shares: of_queries(self.shares),
                    },
                    Side {
                        packed: pack(self.keys, item, head),
                        logs: attending.iter().map(|key| T::of(log(key))).collect(),
                        shares: vec![T::ZERO; attending.len()],
                    },
                ]
            })
            .collect();
        let count = |side: Heads<'_, T>| side.batch * side.tokens * side.heads * side.size;
        let mut q = vec![T::ZERO; count(self.queries[0])];
        let mut k = vec![T::ZERO; count(self.keys[0])];
        let mut v = vec![T::ZERO; count(self.keys[0])];
        let mut tasks = Vec::new();
        Panels {
            simd,
            side: self.queries,
            columns: 0,
            order: self.sight.order,
            sides: &sides,
        }
        .tasks([&mut q], &mut tasks);
        Panels {
            simd,
            side: self.keys,
            columns: 1,
            order: self.sight.order,
            sides: &sides,
        }
        .tasks([&mut k, &mut v], &mut tasks);
        tasks
            .into_par_iter()
            .for_each(|panel| simd.vectorize(panel));
        [q, k, v]
    }
}

/// Cuts one side into panels.
struct Panels<'a, S, T> {
    simd: S,
    side: [Heads<'a, T>; 2],
    /// Which of a head's two sides lies along the panel.
    columns: usize,
    order: Order,
    sides: &'a [[Side<T>; 2]],
}

impl<'a, S: Simd, T: Real> Panels<'a, S, T> {
    fn tasks<const N: usize>(&self, grads: [&'a mut Vec<T>; N], tasks: &mut Vec<Panel<'a, T>>) {
        let Self {
            side,
            columns,
            order,
            sides,
            ..
        } = *self;
        let _ = self.simd;
        let Heads {
            tokens,
            heads,
            size,
            ..
        } = side[0];
        let panel = panel_width::<S, T>();
        let first = tasks.len();
        for grad in grads {
            let parts =
                grad.chunks_mut(tokens * heads * size)
                    .enumerate()
                    .flat_map(|(item, grad)| {
                        let panels = grad.chunks_mut(panel * heads * size).enumerate();
                        panels.map(move |(index, grad)| (item, index * panel, grad))
                    });
            for (at, (item, start, grad)) in parts.enumerate() {
                if tasks.len() == first + at {
                    tasks.push(Panel {
                        side,
                        columns,
                        order,
                        sides: &sides[item * heads..(item + 1) * heads],
                        item,
                        first: start,
                        grads: Vec::with_capacity(N),
                    });
                }
                tasks[first + at].grads.push(grad);
            }
        }
    }
}

/// A panel of tokens of one side against all tokens of the other, all heads.
struct Panel<'a, T> {
    side: [Heads<'a, T>; 2],
    columns: usize,
    order: Order,
    sides: &'a [[Side<T>; 2]],
    item: usize,
    first: usize,
    /// Of the side's first tensor and, where asked for, of its second: `[tokens, H, D]`.
    grads: Vec<&'a mut [T]>,
}

impl<T: Real> WithSimd for Panel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let width = panel_width::<S, T>();
        let Heads { heads, size, .. } = self.side[0];
        let mut panels = [vec![T::ZERO; size * width], vec![T::ZERO; size * width]];
        let mut sums = vec![vec![T::ZERO; size * width]; self.grads.len()];
        let mut block = Block {
            weights: vec![T::ZERO; KEYS * width],
            slopes: vec![T::ZERO; KEYS * width],
            logs: vec![T::ZERO; width],
            shares: vec![T::ZERO; width],
            scale: T::of(1.0 / (size as f64).sqrt()),
        };
        for (head, sides) in self.sides.iter().enumerate() {
            for (side, panel) in self.side.iter().zip(&mut panels) {
                side.panel::<S>((self.item, head), self.first, panel);
            }
            let (columns, rows) = (&sides[self.columns], &sides[1 - self.columns]);
            block.columns(columns, self.first);
            for sums in &mut sums {
                sums.fill(T::ZERO);
            }
            let tokens = rows.logs.len();
            let seen = match (self.order, self.columns) {
                (order, 0) => 0..order.seen(self.first + width, tokens),
                (Order::Any, _) => 0..tokens,
                (Order::Causal { earlier }, _) => {
                    self.first.saturating_sub(earlier) / KEYS * KEYS..tokens
                }
            };
            for from in seen.clone().step_by(KEYS) {
                let to = (from + KEYS).min(seen.end);
                block.fill(simd, rows, &panels, (from, to));
                if let Order::Causal { earlier } = self.order {
                    block.hide(self.columns, (self.first, earlier), (from, to));
                }
                let operands = [&block.slopes, &block.weights];
                for ((sums, packed), right) in sums.iter_mut().zip(&rows.packed).zip(operands) {
                    let left = Left {
                        packed: &packed.components,
                        depth: tokens,
                        from,
                        to,
                    };
                    let right = &right[..(to - from) * width];
                    let mut rows: Vec<_> = sums.chunks_exact_mut(width).collect();
                    multiply(simd, left, right, (&mut rows, 0), Start::Destination);
                }
            }
            for (grad, sums) in self.grads.iter_mut().zip(&sums) {
                for (j, grad) in grad.chunks_exact_mut(heads * size).enumerate() {
                    let grad = &mut grad[head * size..(head + 1) * size];
                    for (x, sums) in grad.iter_mut().zip(sums.chunks_exact(width)) {
                        *x = sums[j];
                    }
                }
            }
        }
    }
}

/// Some rows of the score matrix against a panel of its columns.
struct Block<T> {
    /// `[rows][width]`
    weights: Vec<T>,
    /// Gradients of the scores, `[rows][width]`.
    slopes: Vec<T>,
    /// `[width]`
    logs: Vec<T>,
    shares: Vec<T>,
    scale: T,
}

impl<T: Real> Block<T> {
    #[inline(always)]
    fn columns(&mut self, side: &Side<T>, first: usize) {
        let last = (first + self.logs.len()).min(side.logs.len());
        self.logs[..last - first].copy_from_slice(&side.logs[first..last]);
        self.shares[..last - first].copy_from_slice(&side.shares[first..last]);
    }

    #[inline(always)]
    fn fill<S: Simd>(
        &mut self,
        simd: S,
        rows: &Side<T>,
        panels: &[Vec<T>; 2],
        (from, to): (usize, usize),
    ) {
        let width = panel_width::<S, T>();
        let size = panels[0].len() / width;
        let targets = [&mut self.weights, &mut self.slopes];
        for ((packed, panel), target) in rows.packed.iter().zip(panels).zip(targets) {
            let left = Left {
                packed: &packed.tokens[from * size..to * size],
                depth: size,
                from: 0,
                to: size,
            };
            let target = &mut target[..(to - from) * width];
            let mut rows: Vec<_> = target.chunks_exact_mut(width).collect();
            multiply(simd, left, panel, (&mut rows, 0), Start::Zero);
        }
        let (logs, shares, scale) = (&self.logs[..width], &self.shares[..width], self.scale);
        let powers = scale * T::of(std::f64::consts::LOG2_E);
        let weights = self.weights.chunks_exact_mut(width);
        let rows = rows.logs[from..to].iter().zip(&rows.shares[from..to]);
        for ((weights, slopes), (log, share)) in
            weights.zip(self.slopes.chunks_exact_mut(width)).zip(rows)
        {
            for j in 0..width {
                let weight = (weights[j] * powers - (*log + logs[j])).exp2();
                weights[j] = weight;
                slopes[j] = weight * (slopes[j] - (*share + shares[j])) * scale;
            }
        }
    }

    /// Weights whose key comes after their query are none.
    #[inline(always)]
    fn hide(
        &mut self,
        columns: usize,
        (first, earlier): (usize, usize),
        (from, to): (usize, usize),
    ) {
        let width = self.logs.len();
        let rows = self.weights.chunks_exact_mut(width);
        let rows = rows.zip(self.slopes.chunks_exact_mut(width));
        for (row, (weights, slopes)) in (from..to).zip(rows) {
            let hidden = match columns {
                // rows are keys
                0 => 0..row.saturating_sub(first + earlier).min(width),
                // rows are queries
                _ => (row + earlier + 1).saturating_sub(first).min(width)..width,
            };
            weights[hidden.clone()].fill(T::ZERO);
            slopes[hidden].fill(T::ZERO);
        }
    }
}

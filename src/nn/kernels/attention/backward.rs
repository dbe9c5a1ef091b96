//! The gradients, from recomputed weights, each weight once.
//!
//! A panel of keys lies along the vectors, blocks of queries pass by it. The panel owns the gradients of its keys and values;
//! those of the queries are sums over panels, which one task adds up in order.
use std::ops::Range;

use candle_core::{Device, Result, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Attended, KEYS, Order, Sight,
    block::Block,
    heads::{Heads, PackHead, Packed, readable},
};
use crate::nn::{
    KeyMask,
    kernels::{
        host::values,
        norm::sum2,
        real::Real,
        scratch::zeros,
        tile::{Left, Start, multiply, multiply_square, panel_width},
    },
};

/// Tasks of a batch item at least, as long as there are panels: few heads then still keep several threads busy.
const TASKS: usize = 8;

pub(super) fn gradients<T: Real>(
    [q, k, v]: &[Tensor; 3],
    mask: &KeyMask,
    attended: &Attended,
    grad: &Tensor,
) -> Result<[Tensor; 3]> {
    let (batch, queries, heads, _) = q.dims4()?;
    let sight = Sight::new(mask, [batch, queries, k.dim(1)?])?;
    let [q, k, v, grad, value] = [q, k, v, grad, &attended.value].map(readable);
    let (q, k, v, grad, value) = (q?, k?, v?, grad?, value?);
    let (q, q_layout) = q.storage_and_layout();
    let (k, k_layout) = k.storage_and_layout();
    let (v, v_layout) = v.storage_and_layout();
    let (grad, grad_layout) = grad.storage_and_layout();
    let (value, value_layout) = value.storage_and_layout();
    let (log_sums, log_sums_layout) = attended.log_sums.storage_and_layout();
    let grads = Arch::new().dispatch(Run {
        q: Heads::of(&q, q_layout, heads)?,
        k: Heads::of(&k, k_layout, heads)?,
        v: Heads::of(&v, v_layout, heads)?,
        grad: Heads::of(&grad, grad_layout, heads)?,
        value: Heads::of(&value, value_layout, heads)?,
        log_sums: values::<T>(&log_sums, log_sums_layout)?,
        sight: &sight,
    });
    let [of_q, of_k, of_v] = grads;
    let tensor = |grads, shape: &[usize]| Tensor::from_vec(grads, shape, &Device::Cpu);
    Ok([
        tensor(of_q, q_layout.dims())?,
        tensor(of_k, k_layout.dims())?,
        tensor(of_v, v_layout.dims())?,
    ])
}

struct Run<'a, T> {
    q: Heads<'a, T>,
    k: Heads<'a, T>,
    v: Heads<'a, T>,
    grad: Heads<'a, T>,
    value: Heads<'a, T>,
    /// `[B, S, H]`
    log_sums: &'a [T],
    sight: &'a Sight,
}

impl<T: Real> WithSimd for Run<'_, T> {
    type Output = [Vec<T>; 3];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Self { q, k, v, .. } = self;
        let sides: Vec<_> = (0..q.batch * q.heads)
            .into_par_iter()
            .map(|at| simd.vectorize(Passing { run: &self, at }))
            .collect();
        let width = panel_width::<S, T>();
        let panels = k.tokens.div_ceil(width);
        let share = panels.div_ceil(TASKS.div_ceil(q.heads)) * width;
        let shares = k.tokens.div_ceil(share);
        let parts: Vec<_> = (0..sides.len() * shares)
            .into_par_iter()
            .map(|at| {
                let first = at % shares * share;
                simd.vectorize(Share {
                    k,
                    v,
                    queries: &sides[at / shares],
                    sight: self.sight,
                    keys: first..(first + share).min(k.tokens),
                })
            })
            .collect();
        let parts_of =
            |item: usize, head: usize| &parts[(item * q.heads + head) * shares..][..shares];
        let size = q.size;
        let of_q = gather(q, q.heads, |item, token, head, sums| {
            for part in parts_of(item, head) {
                add(sums, &part.of_q[token * size..]);
            }
        });
        let of_keys = |of: fn(&Part<T>) -> &[T]| {
            gather(k, k.heads / k.group, |item, token, stored, sums| {
                for head in stored * k.group..(stored + 1) * k.group {
                    let part = &parts_of(item, head)[token / share];
                    add(sums, &of(part)[token % share * size..]);
                }
            })
        };
        [of_q, of_keys(|part| &part.of_k), of_keys(|part| &part.of_v)]
    }
}

/// `[B, S, H, D]` from what `add` adds to each `[D]` of zeros, given item, token and head.
fn gather<T: Real>(
    like: Heads<'_, T>,
    heads: usize,
    add: impl Fn(usize, usize, usize, &mut [T]) + Sync,
) -> Vec<T> {
    let mut grads = zeros(like.batch * like.tokens * heads * like.size);
    let rows = grads.par_chunks_mut(heads * like.size);
    rows.enumerate().for_each(|(at, row)| {
        for (head, sums) in row.chunks_exact_mut(like.size).enumerate() {
            add(at / like.tokens, at % like.tokens, head, sums);
        }
    });
    grads
}

#[inline(always)]
fn add<T: Real>(sums: &mut [T], x: &[T]) {
    for (sum, x) in sums.iter_mut().zip(x) {
        *sum += *x;
    }
}

/// The queries of one head and what belongs to each of them.
struct Queries<T> {
    item: usize,
    head: usize,
    q: Packed<T>,
    grad: Packed<T>,
    /// Base-two logarithm of the sum of exponentials.
    logs: Vec<T>,
    /// `<gradient, value>`: what the softmax's normalisation takes back.
    shares: Vec<T>,
}

/// Makes the queries number `at` of `[B, H]`.
struct Passing<'a, 'b, T> {
    run: &'a Run<'b, T>,
    at: usize,
}

impl<T: Real> WithSimd for Passing<'_, '_, T> {
    type Output = Queries<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Queries<T> {
        let Run {
            q,
            grad,
            value,
            log_sums,
            ..
        } = *self.run;
        let (item, head) = (self.at / q.heads, self.at % q.heads);
        let pack = |heads| PackHead { heads, item, head }.with_simd(simd);
        let share = |token| {
            let (grad, value) = (
                grad.token(item, head, token),
                value.token(item, head, token),
            );
            sum2(grad, value, |x, y| x * y)
        };
        let logs = log_sums[item * q.tokens * q.heads + head..].iter();
        Queries {
            item,
            head,
            q: pack(q),
            grad: pack(grad),
            logs: logs.step_by(q.heads).take(q.tokens).copied().collect(),
            shares: (0..q.tokens).map(share).collect(),
        }
    }
}

/// Some keys of one head against all its queries.
struct Share<'a, T> {
    k: Heads<'a, T>,
    v: Heads<'a, T>,
    queries: &'a Queries<T>,
    sight: &'a Sight,
    keys: Range<usize>,
}

/// What some keys contribute: `[S, D]` of all queries, `[keys, D]` of their own.
struct Part<T> {
    of_q: Vec<T>,
    of_k: Vec<T>,
    of_v: Vec<T>,
}

impl<'a, T: Real> WithSimd for Share<'a, T> {
    type Output = Part<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Part<T> {
        let Self {
            k,
            v,
            queries,
            sight,
            keys,
        } = self;
        let (size, width) = (k.size, panel_width::<S, T>());
        let tokens = queries.logs.len();
        let place = (queries.item, queries.head);
        let mut part = Part {
            of_q: vec![T::ZERO; tokens * size],
            of_k: vec![T::ZERO; keys.len() * size],
            of_v: vec![T::ZERO; keys.len() * size],
        };
        let zeros = || vec![T::ZERO; size * width];
        let (mut k_panel, mut v_panel, mut of_k, mut of_v) = (zeros(), zeros(), zeros(), zeros());
        let mut k_rows = vec![T::ZERO; size.next_multiple_of(width) * width];
        let mut block = Block::new(width, size);
        for first in keys.clone().step_by(width) {
            k.panel::<S>(place, first, &mut k_panel);
            v.panel::<S>(place, first, &mut v_panel);
            k.rows::<S>(place, first, &mut k_rows);
            block.columns(&sight.attending[queries.item], first);
            of_k.fill(T::ZERO);
            of_v.fill(T::ZERO);
            let start = match sight.order {
                Order::Any => 0,
                Order::Causal { earlier } => first.saturating_sub(earlier) / KEYS * KEYS,
            };
            for from in (start..tokens).step_by(KEYS) {
                let to = (from + KEYS).min(tokens);
                let tokens_of = |packed: &'a Packed<T>| Left {
                    packed: &packed.tokens[from * size..to * size],
                    depth: size,
                    from: 0,
                    to: size,
                };
                block.multiply(
                    simd,
                    to - from,
                    [
                        (tokens_of(&queries.q), &k_panel),
                        (tokens_of(&queries.grad), &v_panel),
                    ],
                );
                block.finish(&queries.logs[from..to], &queries.shares[from..to]);
                if let Order::Causal { earlier } = sight.order {
                    block.hide(from + earlier + 1, first);
                }
                let (weights, slopes) = block.rows(to - from);
                for (packed, right, sums) in [
                    (&queries.q, slopes, &mut of_k),
                    (&queries.grad, weights, &mut of_v),
                ] {
                    let left = Left {
                        packed: &packed.components,
                        depth: tokens,
                        from,
                        to,
                    };
                    let mut rows: Vec<_> = sums.chunks_exact_mut(width).collect();
                    multiply(simd, left, right, (&mut rows, 0), Start::Destination);
                }
                let of_q = part.of_q[from * size..to * size].chunks_exact_mut(size);
                multiply_square(simd, slopes, &k_rows, &mut of_q.collect::<Vec<_>>());
            }
            let at = (first - keys.start) * size;
            for (grads, sums) in [(&mut part.of_k, &of_k), (&mut part.of_v, &of_v)] {
                let rows = grads[at..].chunks_exact_mut(size).take(width);
                for (j, row) in rows.enumerate() {
                    for (x, sums) in row.iter_mut().zip(sums.chunks_exact(width)) {
                        *x = sums[j];
                    }
                }
            }
        }
        part
    }
}

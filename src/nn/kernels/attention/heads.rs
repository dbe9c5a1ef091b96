//! Reading one head of `[B, S, H, D]` in place.
use candle_core::{Layout, Result, Storage, Tensor};
use pulp::{Simd, WithSimd};

use crate::nn::kernels::{host::values, matmul::Matrix, real::Real, tile::panel_width};

/// The tensor itself where a token's head is contiguous, else a contiguous copy.
pub(super) fn readable(x: &Tensor) -> Result<Tensor> {
    match x.stride() {
        [.., 1] => Ok(x.clone()),
        _ => x.contiguous(),
    }
}

/// `[B, S, H, D]` with any strides but the last; a stored head may stand for several neighbouring ones.
#[derive(Clone, Copy)]
pub(super) struct Heads<'a, T> {
    values: &'a [T],
    stride: [usize; 3],
    pub batch: usize,
    pub tokens: usize,
    pub heads: usize,
    /// Heads that one stored head stands for.
    pub group: usize,
    pub size: usize,
}

impl<'a, T: Real> Heads<'a, T> {
    pub(super) fn of(storage: &'a Storage, layout: &Layout, heads: usize) -> Result<Self> {
        let (batch, tokens, stored, size) = layout.shape().dims4()?;
        let stride = layout.stride();
        Ok(Self {
            values: values(storage, layout)?,
            stride: [stride[0], stride[1], stride[2]],
            batch,
            tokens,
            heads,
            group: heads / stored,
            size,
        })
    }

    /// `[S, D]`
    #[inline(always)]
    pub(super) fn head(&self, item: usize, head: usize) -> Matrix<'a, T> {
        Matrix {
            values: &self.values[item * self.stride[0] + head / self.group * self.stride[2]..],
            row_stride: self.stride[1],
            column_stride: 1,
        }
    }

    /// `[D]`
    #[inline(always)]
    pub(super) fn token(&self, item: usize, head: usize, token: usize) -> &'a [T] {
        &self.head(item, head).values[token * self.stride[1]..][..self.size]
    }

    /// A panel of tokens of a head, from `first` on, as a right operand `[panel][D]`: panels of components, zeros beyond the
    /// last token and component.
    #[inline(always)]
    pub(super) fn rows<S: Simd>(
        &self,
        (item, head): (usize, usize),
        first: usize,
        packed: &mut [T],
    ) {
        let width = panel_width::<S, T>();
        packed.fill(T::ZERO);
        let tokens = (first..self.tokens).take(width);
        for (j, token) in tokens.enumerate() {
            let components = self.token(item, head, token).chunks(width);
            for (panel, components) in packed.chunks_exact_mut(width * width).zip(components) {
                panel[j * width..][..components.len()].copy_from_slice(components);
            }
        }
    }

    /// Tokens `first..first + count` of a head as `[D][panel]`.
    #[inline(always)]
    pub(super) fn panel<S: Simd>(
        &self,
        (item, head): (usize, usize),
        first: usize,
        packed: &mut [T],
    ) {
        let width = panel_width::<S, T>();
        let count = width.min(self.tokens - first);
        self.head(item, head).pack(first, count, width, packed);
    }
}

/// One head as a left operand both ways.
pub(super) struct Packed<T> {
    /// Tokens as rows, `[S, D]`.
    pub tokens: Vec<T>,
    /// Components as rows, `[D, S]`.
    pub components: Vec<T>,
}

/// Packs one head both ways.
pub(super) struct PackHead<'a, T> {
    pub heads: Heads<'a, T>,
    pub item: usize,
    pub head: usize,
}

impl<T: Real> WithSimd for PackHead<'_, T> {
    type Output = Packed<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Packed<T> {
        let Heads {
            tokens: count,
            size,
            ..
        } = self.heads;
        let matrix = self.heads.head(self.item, self.head);
        let mut tokens = vec![T::ZERO; count * size];
        let mut components = vec![T::ZERO; count * size];
        matrix.pack_left::<S>(0, count, &mut tokens);
        matrix.transposed().pack_left::<S>(0, size, &mut components);
        Packed { tokens, components }
    }
}

//! `y = x W^T + b` for row-major operands.
use candle_core::{Device, Layout, Result, Storage, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    real::Real,
    tile::{Left, Start, left_tiles, multiply, panel_width},
};

/// Depth of one pass over a tile: a left tile and a right panel together stay in the first-level caches.
const DEPTH: usize = 256;
/// Columns packed at a time: bounds the scratch to this times the depth.
const COLUMNS: usize = 1024;
/// Depth transposed at a time, within the first-level cache.
const BLOCK: usize = 32;
/// Rows of one task.
const ROWS: usize = 48;

/// `x [rows, depth]` times the transpose of `weight [columns, depth]`, plus `bias [columns]`: `[rows, columns]`.
///
/// Two-dimensional views of any strides on the host; not part of the graph.
pub(crate) fn matmul(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    for_float!(x, matmul_of(x, weight, bias))
}

fn matmul_of<T: Real>(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let ((rows, depth), (columns, weight_depth)) = (x.dims2()?, weight.dims2()?);
    if depth != weight_depth {
        bail!("a linear layer of weight [{columns}, {weight_depth}] cannot take rows of {depth}")
    }
    let bias = bias.map(Tensor::contiguous).transpose()?;
    let bias_storage = bias.as_ref().map(Tensor::storage_and_layout);
    let bias = match &bias_storage {
        Some((storage, layout)) => Some(values::<T>(storage, layout)?),
        None => None,
    };
    let (x, x_layout) = x.storage_and_layout();
    let (weight, weight_layout) = weight.storage_and_layout();
    let product = Product {
        left: Matrix::of(&x, x_layout)?,
        right: Matrix::of(&weight, weight_layout)?,
        depth,
        bias,
    };
    Tensor::from_vec(product.run(rows, columns), (rows, columns), &Device::Cpu)
}

/// A matrix read in place: element `(i, j)` at `values[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub values: &'a [T],
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<'a, T: Real> Matrix<'a, T> {
    pub(crate) fn of(storage: &'a Storage, layout: &Layout) -> Result<Self> {
        Ok(Self {
            values: values(storage, layout)?,
            row_stride: layout.stride()[0],
            column_stride: layout.stride()[1],
        })
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            values: self.values,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Rows `first..first + count` as left tiles.
    #[inline(always)]
    pub(crate) fn pack_left<S: Simd>(&self, first: usize, count: usize, packed: &mut [T]) {
        let depth = packed.len() / count;
        for (row, height) in left_tiles::<S>(count) {
            let tile = &mut packed[row * depth..(row + height) * depth];
            self.pack(first + row, height, height, tile);
        }
    }

    /// Rows `first..first + count` as `[depth][width]`, zeros beyond `count`.
    #[inline(always)]
    pub(crate) fn pack(&self, first: usize, count: usize, width: usize, packed: &mut [T]) {
        if count < width {
            packed.fill(T::ZERO);
        }
        if self.column_stride == 1 {
            for (block, out) in packed.chunks_mut(BLOCK * width).enumerate() {
                for i in 0..count {
                    let at = (first + i) * self.row_stride + block * BLOCK;
                    let row = &self.values[at..at + out.len() / width];
                    for (out, value) in out.chunks_exact_mut(width).zip(row) {
                        out[i] = *value;
                    }
                }
            }
            return;
        }
        for (k, out) in packed.chunks_exact_mut(width).enumerate() {
            let from = &self.values[first * self.row_stride + k * self.column_stride..];
            if self.row_stride == 1 {
                out[..count].copy_from_slice(&from[..count]);
            } else {
                let from = from.iter().step_by(self.row_stride);
                for (x, value) in out[..count].iter_mut().zip(from) {
                    *x = *value;
                }
            }
        }
    }
}

/// `left [rows, depth]` times the transpose of `right [columns, depth]`, plus `bias [columns]`.
pub(crate) struct Product<'a, T> {
    pub left: Matrix<'a, T>,
    pub right: Matrix<'a, T>,
    pub depth: usize,
    pub bias: Option<&'a [T]>,
}

impl<T: Real> Product<'_, T> {
    /// Row-major `[rows, columns]`.
    pub(crate) fn run(&self, rows: usize, columns: usize) -> Vec<T> {
        let mut y = vec![T::ZERO; rows * columns];
        Arch::new().dispatch(Run {
            product: self,
            columns,
            y: &mut y,
        });
        y
    }
}

struct Run<'a, T> {
    product: &'a Product<'a, T>,
    columns: usize,
    y: &'a mut [T],
}

impl<T: Real> WithSimd for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Run {
            product,
            columns,
            y,
        } = self;
        let depth = product.depth;
        let width = panel_width::<S, T>();
        let mut packed = vec![T::ZERO; columns.min(COLUMNS).next_multiple_of(width) * depth];
        for first in (0..columns).step_by(COLUMNS) {
            let count = COLUMNS.min(columns - first);
            let packed = &mut packed[..count.next_multiple_of(width) * depth];
            packed
                .par_chunks_mut(width * depth)
                .enumerate()
                .for_each(|(panel, packed)| {
                    let used = width.min(count - panel * width);
                    simd.vectorize(Pack {
                        matrix: product.right,
                        first: first + panel * width,
                        count: used,
                        width,
                        packed,
                    });
                });
            let packed = &*packed;
            y.par_chunks_mut(ROWS * columns)
                .enumerate()
                .for_each(|(chunk, y)| {
                    simd.vectorize(Chunk {
                        product,
                        packed,
                        first_row: chunk * ROWS,
                        bias: product.bias.map(|bias| &bias[first..first + count]),
                        rows: y
                            .chunks_mut(columns)
                            .map(|row| &mut row[first..first + count])
                            .collect(),
                    });
                });
        }
    }
}

/// Packs `count` rows from `first` on as `[depth][width]`.
pub(super) struct Pack<'a, T> {
    pub matrix: Matrix<'a, T>,
    pub first: usize,
    pub count: usize,
    pub width: usize,
    pub packed: &'a mut [T],
}

impl<T: Real> WithSimd for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.matrix
            .pack(self.first, self.count, self.width, self.packed);
    }
}

/// Some rows against all packed columns.
struct Chunk<'a, T> {
    product: &'a Product<'a, T>,
    packed: &'a [T],
    first_row: usize,
    bias: Option<&'a [T]>,
    rows: Vec<&'a mut [T]>,
}

impl<T: Real> WithSimd for Chunk<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let depth = self.product.depth;
        let mut left = vec![T::ZERO; self.rows.len() * depth];
        self.product
            .left
            .pack_left::<S>(self.first_row, self.rows.len(), &mut left);
        let width = panel_width::<S, T>();
        for (panel, right) in self.packed.chunks_exact(width * depth).enumerate() {
            for from in (0..depth).step_by(DEPTH) {
                let left = Left {
                    packed: &left,
                    depth,
                    from,
                    to: (from + DEPTH).min(depth),
                };
                let start = match (from, self.bias) {
                    (0, Some(bias)) => Start::Columns(bias),
                    (0, None) => Start::Zero,
                    _ => Start::Destination,
                };
                let right = &right[from * width..left.to * width];
                multiply(simd, left, right, (&mut self.rows, panel * width), start);
            }
        }
    }
}

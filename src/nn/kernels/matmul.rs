//! `y = x W^T + b` for row-major operands.
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Storage, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    conv::{Band, bands},
    host::{for_float, values},
    real::Real,
    scratch::{Scratch, zeros},
    tile::{Left, Start, left_tiles, multiply, panel_width},
    winograd::Write,
};

/// Depth of one pass over a tile: a left tile and a right panel together stay in the first-level caches.
const DEPTH: usize = 256;
/// Panels of one task at most: they share the rows while these are in the second-level cache.
const PANELS: usize = 4;
/// Tasks for each thread at least, as long as there are panels: the last ones then end at about the same time.
const TASKS: usize = 4;
/// Depth transposed at a time, within the first-level cache.
const BLOCK: usize = 32;
/// Rows of one task at most: with one depth pass they stay in the second-level cache.
const ROWS: usize = 720;
/// Every left tile's height divides it.
const TALLEST: usize = 12;

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

/// Adds `x [rows, depth]` times the transpose of `weight [columns, depth]` to `sum [.., columns]`, in its memory.
pub(crate) fn add_matmul(sum: &Tensor, x: &Tensor, weight: &Tensor) -> Result<()> {
    let ((rows, depth), (columns, weight_depth)) = (x.dims2()?, weight.dims2()?);
    if depth != weight_depth || sum.elem_count() != rows * columns || !sum.is_contiguous() {
        bail!(
            "{:?} times the transpose of {:?} cannot be added to {:?}",
            x.dims(),
            weight.dims(),
            sum.layout()
        )
    }
    sum.inplace_op1(&Onto { x, weight })
}

struct Onto<'a> {
    x: &'a Tensor,
    weight: &'a Tensor,
}

impl InplaceOp1 for Onto<'_> {
    fn name(&self) -> &'static str {
        "add-product"
    }

    fn cpu_fwd(&self, sum: &mut CpuStorage, layout: &Layout) -> Result<()> {
        for_float!(self.x, add_matmul_of(self, sum, layout))
    }
}

fn add_matmul_of<T: Real>(onto: &Onto<'_>, sum: &mut CpuStorage, layout: &Layout) -> Result<()> {
    let ((rows, depth), (columns, _)) = (onto.x.dims2()?, onto.weight.dims2()?);
    let (x, x_layout) = onto.x.storage_and_layout();
    let (weight, weight_layout) = onto.weight.storage_and_layout();
    let product = Product {
        left: Matrix::of(&x, x_layout)?,
        right: Matrix::of(&weight, weight_layout)?,
        depth,
        bias: None,
    };
    let sum = &mut T::slice_mut(sum)?[layout.start_offset()..][..rows * columns];
    product.write((rows, columns), sum, Write::Add);
    Ok(())
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

    /// The matrix without its first columns.
    #[inline(always)]
    fn after_columns(self, count: usize) -> Self {
        Self {
            values: &self.values[count * self.column_stride..],
            ..self
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
        let mut y = zeros(rows * columns);
        self.write((rows, columns), &mut y, Write::Replace);
        y
    }

    fn write(&self, (rows, columns): (usize, usize), y: &mut [T], write: Write) {
        Arch::new().dispatch(Run {
            product: self,
            rows,
            columns,
            y,
            write,
        });
    }
}

struct Run<'a, T> {
    product: &'a Product<'a, T>,
    rows: usize,
    columns: usize,
    y: &'a mut [T],
    write: Write,
}

impl<T: Real> WithSimd for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Run {
            product,
            rows,
            columns,
            y,
            write,
        } = self;
        let depth = product.depth;
        let left = pack_left_parallel(simd, product.left, rows, depth);
        let blocks = rows.div_ceil(ROWS).max(1);
        let height = rows.div_ceil(blocks).max(1).next_multiple_of(TALLEST);
        let width = panel_width::<S, T>();
        let wanted = rayon::current_num_threads() * TASKS;
        let panels = columns.div_ceil(width) * blocks / wanted;
        let band = panels.clamp(1, PANELS) * width;
        let blocks = y.chunks_mut(height * columns).enumerate();
        let tasks: Vec<_> = blocks
            .flat_map(|(block, y)| {
                let count = y.len() / columns;
                let left = &left[block * height * depth..][..count * depth];
                let bands = bands(y, count, columns, band).into_iter();
                bands.map(move |Band { index, rows, .. }| Block {
                    product,
                    left,
                    first: index * band,
                    rows,
                    write,
                })
            })
            .collect();
        tasks
            .into_par_iter()
            .for_each(|block| simd.vectorize(block));
    }
}

/// All rows of a matrix as left tiles, packed by several threads.
pub(super) fn pack_left_parallel<S: Simd, T: Real>(
    simd: S,
    matrix: Matrix<'_, T>,
    rows: usize,
    depth: usize,
) -> Scratch<T> {
    let mut packed = Scratch::new(rows * depth);
    let mut rest = &mut packed[..];
    let mut tiles = Vec::new();
    for (row, height) in left_tiles::<S>(rows) {
        let (tile, later) = rest.split_at_mut(height * depth);
        tiles.push((row, height, tile));
        rest = later;
    }
    tiles.into_par_iter().for_each(|(row, height, packed)| {
        simd.vectorize(Pack {
            matrix,
            first: row,
            count: height,
            width: height,
            packed,
        });
    });
    packed
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

/// Some rows against some columns. Columns are packed a panel at a time, so that they go from the weight to the first-level
/// cache without a detour over memory.
struct Block<'a, T> {
    product: &'a Product<'a, T>,
    /// The rows as left tiles.
    left: &'a [T],
    /// First column.
    first: usize,
    rows: Vec<&'a mut [T]>,
    write: Write,
}

impl<T: Real> WithSimd for Block<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Product {
            right, depth, bias, ..
        } = *self.product;
        let width = panel_width::<S, T>();
        let columns = self.rows.first().map_or(0, |row| row.len());
        let bias = bias.map(|bias| &bias[self.first..self.first + columns]);
        let mut packed = vec![T::ZERO; width * DEPTH.min(depth)];
        for from in (0..depth).step_by(DEPTH) {
            let left = Left {
                packed: self.left,
                depth,
                from,
                to: (from + DEPTH).min(depth),
            };
            let packed = &mut packed[..width * (left.to - from)];
            let start = match (from, self.write, bias) {
                (0, Write::Replace, Some(bias)) => Start::Columns(bias),
                (0, Write::Replace, None) => Start::Zero,
                _ => Start::Destination,
            };
            for column in (0..columns).step_by(width) {
                let count = width.min(columns - column);
                right
                    .after_columns(from)
                    .pack(self.first + column, count, width, packed);
                multiply(simd, left, packed, (&mut self.rows, column), start);
            }
        }
    }
}

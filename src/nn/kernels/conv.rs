//! Convolution as an implicit matrix product: windows are packed panel by panel, never as a whole.
use candle_core::{Device, Result, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    matmul::{Matrix, Pack},
    real::Real,
    tile::{Left, Start, left_tiles, multiply, panel_width},
    window::Windows,
    winograd::{self, Winograd},
};
use crate::nn::conv::Padding;

/// Window elements (channel, row, column) packed at a time.
const DEPTH: usize = 256;
/// Pixels of one task at most; panels of one depth pass stay in the second-level cache.
const BAND: usize = 512;

/// `x [B, I, H, W]` with `weight [O, I, k, k]` and `bias [O]`: `[B, O, H', W']`. Host, not part of the graph.
pub(crate) fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: usize,
    padding: Padding,
) -> Result<Tensor> {
    for_float!(x, conv2d_of(x, weight, bias, stride, padding))
}

fn conv2d_of<T: Real>(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: usize,
    padding: Padding,
) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let (outputs, inputs, side, _) = weight.dims4()?;
    if channels != inputs {
        bail!(
            "a convolution of weight {:?} cannot take an image {:?}",
            weight.dims(),
            x.dims()
        )
    }
    let windows = Windows {
        height,
        width,
        side,
        stride,
        padding,
    };
    let Some((rows, columns)) = windows.output() else {
        bail!(
            "an image {:?} is smaller than the window {side}x{side}",
            x.dims()
        )
    };
    let (x, weight, bias) = (x.contiguous()?, weight.contiguous()?, bias.contiguous()?);
    let (x, x_layout) = x.storage_and_layout();
    let (weight, weight_layout) = weight.storage_and_layout();
    let (bias, bias_layout) = bias.storage_and_layout();
    let depth = inputs * side * side;
    let images = values::<T>(&x, x_layout)?;
    let images = &images[..batch * channels * height * width];
    let weight = &values::<T>(&weight, weight_layout)?[..outputs * depth];
    let bias = &values::<T>(&bias, bias_layout)?[..outputs];
    let mut y = vec![T::ZERO; batch * outputs * rows * columns];
    if side == 3 && stride == 1 && inputs.min(outputs) >= winograd::LEAST_CHANNELS {
        let conv = Winograd {
            images,
            weight,
            bias,
            windows,
            output: (rows, columns),
        };
        conv.run(&mut y);
        return Tensor::from_vec(y, (batch, outputs, rows, columns), &Device::Cpu);
    }
    let conv = Conv {
        images,
        depth,
        windows,
        bias,
    };
    Arch::new().dispatch(Run {
        conv: &conv,
        weight,
        pixels: rows * columns,
        y: &mut y,
    });
    Tensor::from_vec(y, (batch, outputs, rows, columns), &Device::Cpu)
}

struct Conv<'a, T> {
    /// `[B, I, H, W]`
    images: &'a [T],
    /// `I k k`
    depth: usize,
    windows: Windows,
    /// `[O]`
    bias: &'a [T],
}

struct Run<'a, T> {
    conv: &'a Conv<'a, T>,
    /// `[O, I k k]`
    weight: &'a [T],
    /// `H' W'`
    pixels: usize,
    /// `[B, O, H' W']`
    y: &'a mut [T],
}

impl<T: Real> WithSimd for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Run {
            conv,
            weight,
            pixels,
            y,
        } = self;
        let weight = Matrix {
            values: weight,
            row_stride: conv.depth,
            column_stride: 1,
        };
        let packed = pack_left_parallel(simd, weight, conv.bias.len(), conv.depth);
        let outputs = conv.bias.len();
        let band = BAND.min(pixels.div_ceil(4).next_multiple_of(panel_width::<S, T>()));
        let image = conv.images.len() / (y.len() / (outputs * pixels));
        bands(y, outputs, pixels, band)
            .into_par_iter()
            .for_each(|Band { item, index, rows }| {
                simd.vectorize(Task {
                    conv,
                    packed: &packed,
                    image: &conv.images[item * image..(item + 1) * image],
                    first: index * band,
                    rows,
                });
            });
    }
}

/// The same pixels of every channel of one image.
pub(super) struct Band<'a, T> {
    pub item: usize,
    pub index: usize,
    /// One slice a channel.
    pub rows: Vec<&'a mut [T]>,
}

/// Cuts `[B, channels, pixels]` into bands of at most `band` pixels.
pub(super) fn bands<T>(
    y: &mut [T],
    channels: usize,
    pixels: usize,
    band: usize,
) -> Vec<Band<'_, T>> {
    let mut bands: Vec<Band<'_, T>> = Vec::new();
    for (item, image) in y.chunks_mut(channels * pixels).enumerate() {
        let first = bands.len();
        bands.extend((0..pixels.div_ceil(band)).map(|index| Band {
            item,
            index,
            rows: Vec::with_capacity(channels),
        }));
        for channel in image.chunks_mut(pixels) {
            for (part, band) in channel.chunks_mut(band).zip(&mut bands[first..]) {
                band.rows.push(part);
            }
        }
    }
    bands
}

/// All rows of a matrix as left tiles, packed by several threads.
fn pack_left_parallel<S: Simd, T: Real>(
    simd: S,
    matrix: Matrix<'_, T>,
    rows: usize,
    depth: usize,
) -> Vec<T> {
    let mut packed = vec![T::ZERO; rows * depth];
    let mut rest = packed.as_mut_slice();
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

struct Task<'a, T> {
    conv: &'a Conv<'a, T>,
    packed: &'a [T],
    image: &'a [T],
    first: usize,
    rows: Vec<&'a mut [T]>,
}

impl<T: Real> WithSimd for Task<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Conv {
            depth,
            windows,
            bias,
            ..
        } = *self.conv;
        let width = panel_width::<S, T>();
        let pixels = self.rows.first().map_or(0, |row| row.len());
        let runs: Vec<_> = (0..pixels)
            .step_by(width)
            .map(|at| windows.runs(self.first + at, self.first + pixels.min(at + width)))
            .collect();
        let mut right = vec![T::ZERO; pixels.next_multiple_of(width) * DEPTH.min(depth)];
        for from in (0..depth).step_by(DEPTH) {
            let to = (from + DEPTH).min(depth);
            let right = &mut right[..pixels.next_multiple_of(width) * (to - from)];
            for (runs, right) in runs.iter().zip(right.chunks_exact_mut(width * (to - from))) {
                windows.pack(simd, self.image, runs, from..to, right);
            }
            let left = Left {
                packed: self.packed,
                depth,
                from,
                to,
            };
            let start = if from == 0 {
                Start::Rows(bias)
            } else {
                Start::Destination
            };
            multiply(simd, left, right, (&mut self.rows, 0), start);
        }
    }
}

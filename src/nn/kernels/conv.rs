//! Convolution as an implicit matrix product: windows are packed panel by panel, never as a whole.
use candle_core::{Device, Result, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    by_winograd,
    enlarge::enlarge,
    host::{for_float, values},
    matmul::{Matrix, pack_left_parallel},
    norm_groups::GroupedNorm,
    real::Real,
    scratch::zeros,
    tile::{Left, Start, multiply, panel_width},
    window::Windows,
};
use crate::nn::conv::Padding;

/// Window elements (channel, row, column) packed at a time.
const DEPTH: usize = 256;
/// Pixels of one task at most; panels of one depth pass stay in the second-level cache.
const BAND: usize = 512;

/// A convolution as the kernels take it.
#[derive(Clone, Copy)]
pub(crate) struct Filter<'a> {
    /// `[O, I, k, k]`
    pub weight: &'a Tensor,
    /// `[O]`
    pub bias: &'a Tensor,
    pub stride: usize,
    pub padding: Padding,
}

/// What the windows see of an image `[B, I, H, W]`. Where they can, the kernels compute it while they read: an image of the
/// finest level is then never stored twice.
#[derive(Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// The image as it is.
    Plain,
    /// Its norm; weight and bias `[I]` each.
    Normal(GroupedNorm, [&'a Tensor; 2]),
    /// Every pixel as a block of 2 x 2.
    Enlarged,
}

/// `filter` over what is `seen` of `x [B, I, H, W]`: `[B, O, H', W']`. Host, not part of the graph.
pub(crate) fn conv2d(x: &Tensor, filter: Filter<'_>, seen: Seen<'_>) -> Result<Tensor> {
    if x.dim(1)? != filter.weight.dim(1)? {
        bail!(
            "a convolution of weight {:?} cannot take an image {:?}",
            filter.weight.dims(),
            x.dims()
        )
    }
    if by_winograd::suits(filter)? {
        return by_winograd::conv2d(x, filter, seen);
    }
    let x = match seen {
        Seen::Plain => x.clone(),
        Seen::Normal(norm, affine) => norm.forward(x, affine)?,
        Seen::Enlarged => enlarge(x)?,
    };
    for_float!(x, by_product(&x, filter))
}

/// The windows over an image of this size, and the rows and columns of the answer.
pub(super) fn windows_over(
    [height, width]: [usize; 2],
    filter: Filter<'_>,
) -> Result<(Windows, (usize, usize))> {
    let windows = Windows {
        height,
        width,
        side: filter.weight.dim(3)?,
        stride: filter.stride,
        padding: filter.padding,
    };
    match windows.output() {
        Some(output) => Ok((windows, output)),
        None => bail!(
            "an image of {height} x {width} is smaller than the window {:?}",
            filter.weight.dims()
        ),
    }
}

fn by_product<T: Real>(x: &Tensor, filter: Filter<'_>) -> Result<Tensor> {
    let (batch, _, height, width) = x.dims4()?;
    let (outputs, inputs, side, _) = filter.weight.dims4()?;
    let (windows, (rows, columns)) = windows_over([height, width], filter)?;
    let depth = inputs * side * side;
    let count = x.elem_count();
    let x = x.contiguous()?;
    let (weight, bias) = (filter.weight.contiguous()?, filter.bias.contiguous()?);
    let (x, x_layout) = x.storage_and_layout();
    let (weight, weight_layout) = weight.storage_and_layout();
    let (bias, bias_layout) = bias.storage_and_layout();
    let conv = Conv {
        images: &values::<T>(&x, x_layout)?[..count],
        depth,
        windows,
        bias: &values::<T>(&bias, bias_layout)?[..outputs],
    };
    let mut y = zeros(batch * outputs * rows * columns);
    Arch::new().dispatch(Run {
        conv: &conv,
        weight: &values::<T>(&weight, weight_layout)?[..outputs * depth],
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

//! A 1 x 1 convolution whose answer takes the place of what it is computed from.
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    conv::{Band, Filter, bands},
    host::{for_float, values},
    matmul::{Matrix, pack_left_parallel},
    real::Real,
    tile::{Left, Start, multiply, panel_width},
};

/// Numbers of one task, all channels: they stay in the second-level cache.
const NUMBERS: usize = 1 << 16;

/// Whether the answer has room in the image's own channels.
pub(crate) fn suits(filter: Filter<'_>) -> Result<bool> {
    let (outputs, inputs, side, _) = filter.weight.dims4()?;
    Ok(side == 1 && filter.stride == 1 && filter.padding == 0.into() && outputs <= inputs)
}

/// `filter` over `x [B, I, H, W]` in the memory of `x`: `[B, O, H, W]`. Host, not part of the graph.
pub(crate) fn conv_within(x: &Tensor, filter: Filter<'_>) -> Result<Tensor> {
    let (outputs, inputs, _, _) = filter.weight.dims4()?;
    if x.dim(1)? != inputs || !x.is_contiguous() {
        bail!(
            "a convolution of weight {:?} cannot take the place of {:?}",
            filter.weight.dims(),
            x.layout()
        )
    }
    x.inplace_op1(&Within { filter })?;
    x.narrow(1, 0, outputs)?.contiguous()
}

struct Within<'a> {
    filter: Filter<'a>,
}

impl InplaceOp1 for Within<'_> {
    fn name(&self) -> &'static str {
        "convolution-within"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> Result<()> {
        for_float!(self.filter.weight, run(self.filter, x, layout))
    }
}

fn run<T: Real>(filter: Filter<'_>, x: &mut CpuStorage, layout: &Layout) -> Result<()> {
    let (_, inputs, height, width) = layout.shape().dims4()?;
    let (weight, bias) = (filter.weight.contiguous()?, filter.bias.contiguous()?);
    let (weight, weight_layout) = weight.storage_and_layout();
    let (bias, bias_layout) = bias.storage_and_layout();
    let outputs = bias_layout.shape().elem_count();
    Arch::new().dispatch(Run {
        weight: &values::<T>(&weight, weight_layout)?[..outputs * inputs],
        bias: &values::<T>(&bias, bias_layout)?[..outputs],
        pixels: height * width,
        x: &mut T::slice_mut(x)?[layout.start_offset()..][..layout.shape().elem_count()],
    });
    Ok(())
}

struct Run<'a, T> {
    /// `[O, I]`
    weight: &'a [T],
    /// `[O]`
    bias: &'a [T],
    pixels: usize,
    /// `[B, I, pixels]`
    x: &'a mut [T],
}

impl<T: Real> WithSimd for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            weight,
            bias,
            pixels,
            x,
        } = self;
        let (outputs, inputs) = (bias.len(), weight.len() / bias.len());
        let weight = Matrix {
            values: weight,
            row_stride: inputs,
            column_stride: 1,
        };
        let packed = pack_left_parallel(simd, weight, outputs, inputs);
        let width = panel_width::<S, T>();
        let band = (NUMBERS / inputs / width).max(1) * width;
        bands(x, inputs, pixels, band)
            .into_par_iter()
            .for_each(|Band { rows, .. }| {
                simd.vectorize(Task {
                    packed: &packed,
                    bias,
                    rows,
                });
            });
    }
}

struct Task<'a, T> {
    packed: &'a [T],
    bias: &'a [T],
    /// One slice a channel of the image.
    rows: Vec<&'a mut [T]>,
}

impl<T: Real> WithSimd for Task<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let width = panel_width::<S, T>();
        let (inputs, outputs) = (self.rows.len(), self.bias.len());
        let pixels = self.rows.first().map_or(0, |row| row.len());
        let mut right = vec![T::ZERO; pixels.next_multiple_of(width) * inputs];
        for (at, panel) in right.chunks_exact_mut(width * inputs).enumerate() {
            for (row, out) in self.rows.iter().zip(panel.chunks_exact_mut(width)) {
                let row = &row[at * width..pixels.min((at + 1) * width)];
                out[..row.len()].copy_from_slice(row);
            }
        }
        let left = Left {
            packed: self.packed,
            depth: inputs,
            from: 0,
            to: inputs,
        };
        let rows = &mut self.rows[..outputs];
        multiply(simd, left, &right, (rows, 0), Start::Rows(self.bias));
    }
}

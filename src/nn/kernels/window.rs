//! The windows of a convolution, packed for the matrix product.
use pulp::Simd;

use crate::nn::conv::Padding;

use super::{real::Real, tile::panel_width};

/// How a square window steps over one image `[C, H, W]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    pub height: usize,
    pub width: usize,
    /// Side of the window.
    pub side: usize,
    pub stride: usize,
    pub padding: Padding,
}

impl Windows {
    /// Rows and columns of windows; none where the padded image is smaller than a window.
    pub(crate) fn output(&self) -> Option<(usize, usize)> {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = self.padding;
        let steps = |size: usize| Some(size.checked_sub(self.side)? / self.stride + 1);
        Some((
            steps(self.height + top + bottom)?,
            steps(self.width + left + right)?,
        ))
    }

    /// The runs of consecutive windows of one row among windows `first..last`.
    pub(crate) fn runs(&self, first: usize, last: usize) -> Vec<Run> {
        let columns =
            (self.width + self.padding.left + self.padding.right - self.side) / self.stride + 1;
        let mut runs = Vec::new();
        let mut at = first;
        while at < last {
            let (y, x) = (at / columns, at % columns);
            let count = (columns - x).min(last - at);
            runs.push(Run {
                y: y * self.stride,
                x: x * self.stride,
                at: at - first,
                count,
            });
            at += count;
        }
        runs
    }

    /// Window elements `from..to` (channel, row, column) of a panel's windows: `[to - from][width]`. Columns beyond the
    /// runs are left as they are.
    #[inline(always)]
    pub(crate) fn pack<S: Simd, T: Real>(
        &self,
        simd: S,
        image: &[T],
        runs: &[Run],
        elements: std::ops::Range<usize>,
        packed: &mut [T],
    ) {
        let panel = panel_width::<S, T>();
        let within = elements.start % (self.side * self.side);
        let (mut dy, mut dx) = (within / self.side, within % self.side);
        let plane = self.height * self.width;
        let mut channel = &image[elements.start / (self.side * self.side) * plane..];
        for out in packed.chunks_exact_mut(panel).take(elements.len()) {
            for run in runs {
                let row = run.y + dy;
                let out = &mut out[run.at..run.at + run.count];
                if row < self.padding.top || row >= self.padding.top + self.height {
                    out.fill(T::ZERO);
                } else {
                    let row = &channel[(row - self.padding.top) * self.width..][..self.width];
                    self.pack_run::<S, T>(simd, row, run.x + dx, out);
                }
            }
            dx += 1;
            if dx == self.side {
                (dx, dy) = (0, dy + 1);
            }
            if dy == self.side {
                dy = 0;
                channel = channel.get(plane..).unwrap_or_default();
            }
        }
    }

    /// `out` from column `x` of the padded image on.
    #[inline(always)]
    fn pack_run<S: Simd, T: Real>(&self, simd: S, row: &[T], x: usize, out: &mut [T]) {
        let left = self.padding.left;
        if self.stride == 1 && x >= left && x - left + out.len() <= row.len() {
            copy::<S, T>(simd, &row[x - left..x - left + out.len()], out);
            return;
        }
        // windows whose element lies in the left margin, and windows up to the right margin
        let before = left.saturating_sub(x).div_ceil(self.stride).min(out.len());
        let until = (left + self.width)
            .saturating_sub(x)
            .div_ceil(self.stride)
            .clamp(before, out.len());
        out[..before].fill(T::ZERO);
        out[until..].fill(T::ZERO);
        if before == until {
            return;
        }
        let source = &row[x + before * self.stride - left..];
        let inside = &mut out[before..until];
        if self.stride == 1 {
            copy::<S, T>(simd, &source[..inside.len()], inside);
        } else {
            for (value, from) in inside.iter_mut().zip(source.iter().step_by(self.stride)) {
                *value = *from;
            }
        }
    }
}

/// Consecutive windows of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Place of the first window in the padded image.
    y: usize,
    x: usize,
    /// First column of the panel, and how many.
    at: usize,
    count: usize,
}

/// A copy too short for the call of `memcpy` to pay.
#[inline(always)]
fn copy<S: Simd, T: Real>(simd: S, from: &[T], to: &mut [T]) {
    let (from, from_rest) = T::vectors::<S>(from);
    let (to, to_rest) = T::vectors_mut::<S>(to);
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    if !to_rest.is_empty() {
        T::store_some(simd, to_rest, T::load_some(simd, from_rest));
    }
}

//! The windows of a convolution, packed for the matrix product.
use crate::nn::conv::Padding;

use super::real::Real;

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

    /// Window elements `from..to` (channel, row, column) of `count` windows from `first` on: `[to - from][panel]`,
    /// zeros beyond `count`.
    #[inline(always)]
    pub(crate) fn pack<T: Real>(
        &self,
        image: &[T],
        windows: std::ops::Range<usize>,
        elements: std::ops::Range<usize>,
        packed: &mut [T],
    ) {
        let panel = packed.len() / elements.len();
        let columns =
            (self.width + self.padding.left + self.padding.right - self.side) / self.stride + 1;
        for (out, element) in packed.chunks_exact_mut(panel).zip(elements) {
            let (channel, within) = (
                element / (self.side * self.side),
                element % (self.side * self.side),
            );
            let (dy, dx) = (within / self.side, within % self.side);
            let plane = &image[channel * self.height * self.width..][..self.height * self.width];
            let mut rest = &mut *out;
            let mut at = windows.start;
            while at < windows.end {
                let (y, x) = (at / columns, at % columns);
                let run = (columns - x).min(windows.end - at);
                let (now, later) = rest.split_at_mut(run);
                self.pack_run(plane, (y * self.stride + dy, x * self.stride + dx), now);
                rest = later;
                at += run;
            }
            rest.fill(T::ZERO);
        }
    }

    /// Consecutive windows of one row; `(y, x)` is their first element's place in the padded image.
    #[inline(always)]
    fn pack_run<T: Real>(&self, plane: &[T], (y, x): (usize, usize), out: &mut [T]) {
        let Some(row) = y
            .checked_sub(self.padding.top)
            .filter(|row| *row < self.height)
        else {
            out.fill(T::ZERO);
            return;
        };
        let row = &plane[row * self.width..(row + 1) * self.width];
        let left = self.padding.left;
        // windows whose element lies in the left margin, and windows up to the right margin
        let before = left.saturating_sub(x).div_ceil(self.stride).min(out.len());
        let until = (left + self.width)
            .saturating_sub(x)
            .div_ceil(self.stride)
            .clamp(before, out.len());
        out[..before].fill(T::ZERO);
        out[until..].fill(T::ZERO);
        let inside = &mut out[before..until];
        if inside.is_empty() {
            return;
        }
        let source = &row[x + before * self.stride - left..];
        if self.stride == 1 {
            inside.copy_from_slice(&source[..until - before]);
        } else {
            for (value, from) in inside.iter_mut().zip(source.iter().step_by(self.stride)) {
                *value = *from;
            }
        }
    }
}

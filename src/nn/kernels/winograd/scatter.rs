//! Tiles out of an image and back into one.
use std::ops::Range;

use super::{
    transform::{IN, OUT},
    view::Plane,
};
use crate::nn::kernels::{real::Real, window::Windows};

/// Some rows of tiles of one image.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub windows: Windows,
    /// Width of the output.
    pub columns: usize,
    /// First row of tiles.
    pub first: usize,
    /// Rows of the output that the strip covers.
    pub rows: usize,
}

impl Strip {
    fn across(&self) -> usize {
        self.columns.div_ceil(OUT)
    }

    pub(super) fn tiles(&self) -> usize {
        self.across() * self.rows.div_ceil(OUT)
    }

    /// `(row of tiles, columns of tiles, place among the asked)` of each run of tiles in one row.
    #[inline(always)]
    fn runs(&self, tiles: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>, usize)> {
        let across = self.across();
        let mut at = tiles.start;
        std::iter::from_fn(move || {
            if at >= tiles.end {
                return None;
            }
            let (first, y, x) = (at, at / across, at % across);
            at += (across - x).min(tiles.end - at);
            Some((y, x..x + at - first, first - tiles.start))
        })
    }
}

/// Longest line of a run of tiles: the widest panel's, and what its last tile overlaps.
const LINE: usize = OUT * 64 + OUT;

/// `tiles` of one channel as `[IN][IN][panel]`; zeros outside the image.
#[inline(always)]
pub(super) fn read_tiles<T: Real>(
    strip: &Strip,
    plane: Plane<'_, T>,
    tiles: Range<usize>,
    out: &mut [T],
) {
    let panel = out.len() / (IN * IN);
    let Windows {
        height,
        width,
        padding,
        ..
    } = strip.windows;
    for (y, xs, at) in strip.runs(tiles) {
        for i in 0..IN {
            let mut line = [T::ZERO; LINE];
            let row = ((strip.first + y) * OUT + i).checked_sub(padding.top);
            if let Some(row) = row.filter(|row| *row < height) {
                let start = xs.start * OUT;
                let length = xs.len() * OUT + IN - OUT;
                let skipped = padding.left.saturating_sub(start).min(length);
                let from = (start + skipped).saturating_sub(padding.left).min(width);
                let count = (length - skipped).min(width - from);
                plane.read(width, (row, from), &mut line[skipped..skipped + count]);
            }
            let (quads, _) = line.as_chunks::<OUT>();
            for j in 0..IN {
                let out = &mut out[(i * IN + j) * panel + at..][..xs.len()];
                for (value, quad) in out.iter_mut().zip(&quads[j / OUT..]) {
                    *value = quad[j % OUT];
                }
            }
        }
    }
}

/// What becomes of the numbers that an answer is written over.
#[derive(Clone, Copy)]
pub(in crate::nn::kernels) enum Write {
    Replace,
    Add,
}

/// `[OUT][OUT][panel]` into the strip's rows, as far as they reach.
#[inline(always)]
pub(super) fn write_tiles<T: Real>(
    strip: &Strip,
    (values, tiles): (&[T], Range<usize>),
    y: &mut [T],
    write: Write,
) {
    let panel = values.len() / (IN * IN);
    for (row, xs, at) in strip.runs(tiles) {
        for i in 0..OUT.min(strip.rows - row * OUT) {
            let mut line = [[T::ZERO; OUT]; LINE / OUT];
            for j in 0..OUT {
                let values = &values[(i * OUT + j) * panel + at..][..xs.len()];
                for (quad, value) in line.iter_mut().zip(values) {
                    quad[j] = *value;
                }
            }
            let start = xs.start * OUT;
            let count = (xs.len() * OUT).min(strip.columns - start);
            let y = &mut y[(row * OUT + i) * strip.columns + start..][..count];
            let line = &line.as_flattened()[..count];
            match write {
                Write::Replace => y.copy_from_slice(line),
                Write::Add => {
                    for (y, value) in y.iter_mut().zip(line) {
                        *y += *value;
                    }
                }
            }
        }
    }
}

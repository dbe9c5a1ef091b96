//! 3x3 convolution of stride one by Winograd's F(4x4, 3x3): a quarter of the multiplications (arXiv 1509.09308).
mod scatter;
mod transform;
mod view;
mod weights;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

pub(super) use self::{scatter::Write, view::View};
use self::{
    scatter::{Strip, read_tiles, write_tiles},
    transform::{OUT, POINTS, input_points, output_tiles},
    weights::{Points, window_points_of},
};
use super::{
    conv::{Band, bands},
    real::Real,
    tile::{Left, Start, multiply, panel_width},
    window::Windows,
};

/// Channels from which on the transforms cost less than what they save.
pub(super) const LEAST_CHANNELS: usize = 32;
/// Output channels whose products are held at a time; a multiple of every left tile's height.
const GROUP: usize = 48;

/// `[B, O, H' W']` of what a view shows of images `[B, I, H, W]`.
pub(super) struct Winograd<'a, T> {
    pub images: &'a [T],
    pub view: View<'a, T>,
    /// `[O, I, 3, 3]`
    pub weight: &'a [T],
    /// `[O]`
    pub bias: &'a [T],
    pub windows: Windows,
    /// `H'` and `W'`
    pub output: (usize, usize),
}

impl<T: Real> Winograd<'_, T> {
    pub(super) fn run(self, y: &mut [T], write: Write) {
        Arch::new().dispatch(Run {
            conv: &self,
            y,
            write,
        });
    }
}

struct Run<'a, T> {
    conv: &'a Winograd<'a, T>,
    y: &'a mut [T],
    write: Write,
}

impl<T: Real> WithSimd for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Run { conv, y, write } = self;
        let Winograd {
            images,
            view,
            weight,
            bias,
            windows,
            output: (rows, columns),
        } = *conv;
        let channels = weight.len() / bias.len() / 9;
        let points = window_points_of::<S, T>(weight, bias.len());
        let across = columns.div_ceil(OUT);
        // as many rows of tiles as fill a panel
        let strip = panel_width::<S, T>()
            .div_ceil(across)
            .min(rows.div_ceil(OUT));
        let image = channels * view.stored_pixels(&windows);
        bands(y, bias.len(), rows * columns, strip * OUT * columns)
            .into_par_iter()
            .for_each(|Band { item, index, rows }| {
                simd.vectorize(Task {
                    points: &points,
                    bias,
                    image: &images[item * image..(item + 1) * image],
                    view: view.of_item(item, channels),
                    strip: Strip {
                        windows,
                        columns,
                        first: index * strip,
                        rows: rows.first().map_or(0, |row| row.len()) / columns,
                    },
                    y: rows,
                    write,
                });
            });
    }
}

/// Some rows of tiles, all channels.
struct Task<'a, T> {
    points: &'a Points<T>,
    bias: &'a [T],
    /// `[I, H, W]`
    image: &'a [T],
    view: View<'a, T>,
    strip: Strip,
    /// One slice an output channel.
    y: Vec<&'a mut [T]>,
    write: Write,
}

impl<T: Real> WithSimd for Task<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let width = panel_width::<S, T>();
        let plane = self.view.stored_pixels(&self.strip.windows);
        let channels = self.image.len() / plane;
        let mut inputs = vec![T::ZERO; POINTS * channels * width];
        let mut products = vec![T::ZERO; POINTS * GROUP * width];
        let mut tiles = vec![T::ZERO; POINTS * width];
        for first in (0..self.strip.tiles()).step_by(width) {
            let count = width.min(self.strip.tiles() - first);
            for (channel, plane) in self.image.chunks_exact(plane).enumerate() {
                let plane = self.view.plane(channel, plane);
                read_tiles(&self.strip, plane, first..first + count, &mut tiles);
                let (inputs, _) = T::vectors_mut::<S>(&mut inputs);
                let (tiles, _) = T::vectors::<S>(&tiles);
                let vectors = tiles.len() / POINTS;
                input_points::<S, T>(simd, tiles, |point, v, value| {
                    inputs[(point * channels + channel) * vectors + v] = value;
                });
            }
            for (group, y) in self.y.chunks_mut(GROUP).enumerate() {
                let held = y.len() * width;
                for (point, products) in
                    products[..POINTS * held].chunks_exact_mut(held).enumerate()
                {
                    let left = Left {
                        packed: self.points.group(point, group * GROUP, y.len()),
                        depth: channels,
                        from: 0,
                        to: channels,
                    };
                    let right = &inputs[point * channels * width..(point + 1) * channels * width];
                    let mut rows: Vec<_> = products.chunks_exact_mut(width).collect();
                    multiply(simd, left, right, (&mut rows, 0), Start::Zero);
                }
                let (products, _) = T::vectors::<S>(&products[..POINTS * held]);
                let vectors = products.len() / POINTS / y.len();
                let outputs = y.len();
                for (o, y) in y.iter_mut().enumerate() {
                    let (out, _) = T::vectors_mut::<S>(&mut tiles[..OUT * OUT * width]);
                    output_tiles(simd, self.bias[group * GROUP + o], out, |point, v| {
                        products[(point * outputs + o) * vectors + v]
                    });
                    let tiles = (&tiles[..], first..first + count);
                    write_tiles(&self.strip, tiles, y, self.write);
                }
            }
        }
    }
}

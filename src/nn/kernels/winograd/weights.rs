//! The windows at Winograd's points, packed for the products.
use rayon::prelude::*;

use super::transform::{POINTS, WINDOW, window_points};
use crate::nn::kernels::{real::Real, scratch::zeros, tile::left_tiles};

/// For each point, `[O, I]` as left tiles.
pub(super) struct Points<T> {
    packed: Vec<T>,
    outputs: usize,
    inputs: usize,
}

impl<T: Real> Points<T> {
    /// The left tiles of `count` outputs from `first` on, which is a multiple of every tile's height.
    pub(super) fn group(&self, point: usize, first: usize, count: usize) -> &[T] {
        let start = (point * self.outputs + first) * self.inputs;
        &self.packed[start..start + count * self.inputs]
    }
}

/// `weight [O, I, 3, 3]` at the points.
pub(super) fn window_points_of<S: pulp::Simd, T: Real>(weight: &[T], outputs: usize) -> Points<T> {
    let inputs = weight.len() / outputs / (WINDOW * WINDOW);
    let mut packed = zeros(POINTS * outputs * inputs);
    // the tiles of each point, in the order of the points
    let mut tiles: Vec<(usize, usize, Vec<&mut [T]>)> = left_tiles::<S>(outputs)
        .map(|(row, height)| (row, height, Vec::with_capacity(POINTS)))
        .collect();
    for mut point in packed.chunks_exact_mut(outputs * inputs) {
        for (_, height, parts) in &mut tiles {
            let (part, rest) = point.split_at_mut(*height * inputs);
            parts.push(part);
            point = rest;
        }
    }
    tiles.into_par_iter().for_each(|(row, height, mut parts)| {
        for i in 0..height {
            let windows = &weight[(row + i) * inputs * WINDOW * WINDOW..];
            let (windows, _) = windows.as_chunks::<{ WINDOW * WINDOW }>();
            for (c, window) in windows.iter().take(inputs).enumerate() {
                for (part, point) in parts.iter_mut().zip(window_points(window)) {
                    part[c * height + i] = point;
                }
            }
        }
    });
    Points {
        packed,
        outputs,
        inputs,
    }
}

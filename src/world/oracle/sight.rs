//! Pictures as the oracle looks at them.
use image::RgbImage;

use crate::world::{
    Scene, View,
    colour::{Rgb, luma},
    finish::smooth,
    render::{Figure, rgb_at},
};

/// A picture, row by row, `[H, W]` of RGB.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub raw: Vec<Rgb>,
    /// Smoothed by a binomial kernel of three, which takes most of the noise and little else.
    pub soft: Vec<Rgb>,
    size: (usize, usize),
}

impl Sight {
    pub(super) fn of(picture: &RgbImage) -> Self {
        let raw = picture.pixels().map(|p| p.0.map(|c| f32::from(c) / 255.0));
        let (width, height) = picture.dimensions();
        Self::new(raw.collect(), (width as usize, height as usize))
    }

    /// `scene`'s background and style, with `figures` instead of its objects.
    pub(super) fn drawn(scene: &Scene, figures: &[Figure], view: &View) -> Self {
        let raw = places(view).map(|at| rgb_at(scene, figures, at, view));
        let size = (view.width_px as usize, view.height_px as usize);
        Self::new(raw.collect(), size)
    }

    fn new(raw: Vec<Rgb>, size: (usize, usize)) -> Self {
        let soft = smooth(&raw, size, 0.25);
        Self { raw, soft, size }
    }

    /// The same in greys of equal luma.
    pub(super) fn in_grey(&self) -> Self {
        let raw = self.raw.iter().map(|&rgb| [luma(rgb); 3]);
        Self::new(raw.collect(), self.size)
    }
}

/// Middles of all pixels, `(u, v)`, row by row.
pub(super) fn places(view: &View) -> impl Iterator<Item = [f32; 2]> {
    let rows = 0..view.height_px;
    rows.flat_map(move |y| (0..view.width_px).map(move |x| view.at(x, y)))
}

/// Mean distance over the channels.
pub(super) fn apart(a: Rgb, b: Rgb) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / 3.0
}

/// How far `seen` lies on the way from `from` to `to`, in [0, 1]; 0 where that is no way at all.
pub(super) fn share_of_way(from: Rgb, to: Rgb, seen: Rgb) -> f32 {
    let (mut along, mut length) = (0.0, 0.0);
    for c in 0..3 {
        along += (seen[c] - from[c]) * (to[c] - from[c]);
        length += (to[c] - from[c]) * (to[c] - from[c]);
    }
    if length > 0.0 {
        (along / length).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// A mean that is 0 of nothing.
pub(super) fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f32
}

//! What happens to a picture after it was drawn.
use image::{Rgb as Pixel, RgbImage};

use super::{
    render::{View, byte},
    rng::SceneRng,
    scene::Scene,
};

/// A way in which a drawn picture gets worse.
#[derive(Clone, Debug, PartialEq)]
pub enum Finish {
    /// It does not.
    Clean,
    /// Gaussian blur of deviation `sigma` sides.
    Blurred { sigma: f32 },
    /// Noise of deviation `sigma` on every channel in [0, 1].
    Noisy { sigma: f32, seed: u64 },
    /// A little of both, as through an autoencoder.
    Autoencoded { seed: u64 },
    /// `weight` of another scene on top.
    Blended { with: Box<Scene>, weight: f32 },
}

/// Blur of [`Finish::Autoencoded`] in sides: 0.7 px of 64.
const AUTOENCODER_BLUR: f32 = 0.011;
/// Noise of [`Finish::Autoencoded`]: 30 dB, what a tiny autoencoder reaches.
const AUTOENCODER_NOISE: f32 = 0.03;

impl Finish {
    /// `picture`, drawn for `view`, with this finish.
    pub fn apply(&self, picture: RgbImage, view: &View) -> RgbImage {
        match self {
            Self::Clean => picture,
            Self::Blurred { sigma } => blur(&picture, sigma * view.scale()),
            Self::Noisy { sigma, seed } => noise(picture, *sigma, *seed),
            Self::Autoencoded { seed } => {
                let soft = blur(&picture, AUTOENCODER_BLUR * view.scale());
                noise(soft, AUTOENCODER_NOISE, *seed)
            }
            Self::Blended { with, weight } => {
                let mut mixed = picture;
                for (pixel, other) in mixed.pixels_mut().zip(with.render(view).pixels()) {
                    for (channel, other) in pixel.0.iter_mut().zip(other.0) {
                        let (a, b) = (f32::from(*channel), f32::from(other));
                        *channel = byte((a + weight * (b - a)) / 255.0);
                    }
                }
                mixed
            }
        }
    }
}

fn noise(mut picture: RgbImage, sigma: f32, seed: u64) -> RgbImage {
    let mut rng = SceneRng::new(seed, 0);
    for pixel in picture.pixels_mut() {
        pixel.0 = pixel
            .0
            .map(|c| byte(f32::from(c) / 255.0 + sigma * rng.normal()));
    }
    picture
}

/// Gaussian of deviation `sigma` px, as repeated three-tap kernels: their variances add up, and no exponential is needed.
fn blur(picture: &RgbImage, sigma: f32) -> RgbImage {
    let variance = sigma * sigma;
    let passes = (2.0 * variance).ceil().max(1.0);
    let side_weight = variance / (2.0 * passes);
    let (width, height) = picture.dimensions();
    let mut values: Vec<[f32; 3]> = picture
        .pixels()
        .map(|pixel| pixel.0.map(|c| f32::from(c) / 255.0))
        .collect();
    for _ in 0..passes as usize {
        values = smooth(&values, (width as usize, height as usize), side_weight);
    }
    RgbImage::from_fn(width, height, |x, y| {
        Pixel(values[(y * width + x) as usize].map(byte))
    })
}

/// One pass of `[w, 1 - 2w, w]` along both axes; the border repeats. `values` is `[H, W]` of `size` `(W, H)`.
pub(super) fn smooth(values: &[[f32; 3]], size: (usize, usize), w: f32) -> Vec<[f32; 3]> {
    let (width, height) = size;
    let mix = |before: [f32; 3], at: [f32; 3], after: [f32; 3]| {
        std::array::from_fn(|c| (1.0 - 2.0 * w) * at[c] + w * (before[c] + after[c]))
    };
    let along = |values: &[[f32; 3]], step: usize, len: usize, place: fn(usize, usize) -> usize| {
        let smoothed = |i: usize| {
            let at = place(i, width);
            let before = if at == 0 { i } else { i - step };
            let after = if at + 1 == len { i } else { i + step };
            mix(values[before], values[i], values[after])
        };
        (0..values.len()).map(smoothed).collect::<Vec<_>>()
    };
    let rows = along(values, 1, width, |i, width| i % width);
    along(&rows, width, height, |i, width| i / width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step() -> RgbImage {
        RgbImage::from_fn(32, 8, |x, _| Pixel([if x < 16 { 0 } else { 255 }; 3]))
    }

    #[test]
    fn a_blurred_step_rises_like_a_gaussian() {
        let blurred = blur(&step(), 3.0);
        // Normal distribution function at half a pixel and three and a half pixels: 0.566 and 0.878.
        assert!((f32::from(blurred.get_pixel(16, 4).0[0]) / 255.0 - 0.566).abs() < 0.01);
        assert!((f32::from(blurred.get_pixel(19, 4).0[0]) / 255.0 - 0.878).abs() < 0.01);
    }

    #[test]
    fn noise_has_the_deviation_asked_for() {
        let grey = RgbImage::from_pixel(64, 64, Pixel([128; 3]));
        let noisy = noise(grey, 0.1, 3);
        let squares = noisy.as_raw().iter().map(|&c| {
            let off = (f32::from(c) - 128.0) / 255.0;
            off * off
        });
        let deviation = (squares.sum::<f32>() / (64.0 * 64.0 * 3.0)).sqrt();
        assert!((deviation - 0.1).abs() < 0.003, "{deviation}");
    }

    #[test]
    fn a_blend_lies_between_both() {
        let view = View::square(16);
        let [a, b] = [0, 1].map(|index| Scene::draw(&mut SceneRng::new(0, index)));
        let finish = Finish::Blended {
            with: Box::new(b.clone()),
            weight: 1.0,
        };
        assert_eq!(finish.apply(a.render(&view), &view), b.render(&view));
    }
}

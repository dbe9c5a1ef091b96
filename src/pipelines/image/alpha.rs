//! Transparency on white.
use image::{DynamicImage, RgbImage};
use rayon::prelude::*;

/// Lays `image` on white and drops its alpha; 16 bits become 8, gray becomes RGB.
pub(super) fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let mut out = RgbImage::new(image.width(), image.height());
    let pixels = image.as_raw().as_chunks::<4>().0;
    out.as_chunks_mut::<3>()
        .0
        .par_iter_mut()
        .zip(pixels)
        .for_each(|(out, [r, g, b, alpha])| {
            *out = [r, g, b].map(|sample| over_white(*sample, *alpha));
        });
    out
}

/// `sample * alpha + 255 * (1 - alpha)`, to the nearest level.
fn over_white(sample: u8, alpha: u8) -> u8 {
    let (sample, alpha) = (u32::from(sample), u32::from(alpha));
    ((sample * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{LumaA, Rgba};

    #[test]
    fn clear_is_white_and_opaque_is_kept() {
        let image =
            image::RgbaImage::from_fn(3, 1, |x, _| Rgba([10, 20, 200, [0, 255, 128][x as usize]]));
        let out = on_white(image.into());
        assert_eq!(out.get_pixel(0, 0).0, [255, 255, 255]);
        assert_eq!(out.get_pixel(1, 0).0, [10, 20, 200]);
        // 10 * 128/255 + 255 * 127/255 = 132.02, 137.04, 227.39
        assert_eq!(out.get_pixel(2, 0).0, [132, 137, 227]);
    }

    #[test]
    fn gray_with_alpha_becomes_rgb() {
        let image = image::GrayAlphaImage::from_pixel(1, 1, LumaA([0, 51]));
        assert_eq!(on_white(image.into()).get_pixel(0, 0).0, [204; 3]);
    }
}

//! Which pixels of a picture an edit may change.
use image::{GrayImage, Luma, RgbImage};

use super::{
    ImageError, ImageLimits, SourceFormat, png, raster::Samples, resize::resize_lanczos,
    sniff::sniff,
};

/// Says pixel by pixel how much of the picture stays: 0 is edited, 255 is kept.
#[derive(Debug, Clone)]
pub struct Mask(GrayImage);

impl Mask {
    /// The alpha of a PNG.
    ///
    /// # Errors
    /// No PNG, one without alpha, or one over `limits`.
    pub fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Self, ImageError> {
        let max_bytes = limits.max_bytes;
        if bytes.len() > max_bytes {
            let bytes = bytes.len();
            return Err(ImageError::TooManyBytes { bytes, max_bytes });
        }
        if sniff(bytes)? != SourceFormat::Png {
            return Err(ImageError::MaskFormat);
        }
        let Samples::Screen(samples) = png::decode(bytes, limits)?.samples else {
            return Err(ImageError::MaskFormat);
        };
        if !samples.color().has_alpha() {
            return Err(ImageError::MaskFormat);
        }
        let pixels = samples.into_rgba8();
        let (width, height) = pixels.dimensions();
        let alpha = |x, y| Luma([pixels.get_pixel(x, y)[3]]);
        Ok(Self(GrayImage::from_fn(width, height, alpha)))
    }

    pub fn size(&self) -> (u32, u32) {
        self.0.dimensions()
    }

    /// `edited`, with what is kept of `original` laid over it.
    pub fn lay(&self, original: &RgbImage, edited: &mut RgbImage) {
        let (original, kept) = self.at(original, edited.dimensions());
        let pixels = edited.pixels_mut().zip(original.pixels());
        for ((edited, original), kept) in pixels.zip(kept.pixels()) {
            for (edited, original) in edited.0.iter_mut().zip(original.0) {
                *edited = between(original, *edited, kept[0]);
            }
        }
    }

    /// Largest difference of a channel where everything is kept; 0 where nothing is.
    pub fn difference(&self, original: &RgbImage, answered: &RgbImage) -> u8 {
        let (original, kept) = self.at(original, answered.dimensions());
        let pixels = answered.pixels().zip(original.pixels()).zip(kept.pixels());
        let outside = pixels.filter(|(_, kept)| kept[0] == u8::MAX);
        let channels = outside.flat_map(|((a, b), _)| a.0.into_iter().zip(b.0));
        channels.map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
    }

    /// Picture and mask at a size: the mask by its nearest pixels, so that what is kept stays wholly kept.
    fn at(&self, original: &RgbImage, size: (u32, u32)) -> (RgbImage, GrayImage) {
        if size == self.size() && size == original.dimensions() {
            return (original.clone(), self.0.clone());
        }
        let (width, height) = self.size();
        let nearest = |at: u32, of: u32, from: u32| {
            (u64::from(at) * u64::from(from) / u64::from(of.max(1))) as u32
        };
        let kept = |x, y| {
            *self
                .0
                .get_pixel(nearest(x, size.0, width), nearest(y, size.1, height))
        };
        (
            resize_lanczos(original, size),
            GrayImage::from_fn(size.0, size.1, kept),
        )
    }
}

/// `kept` of 255 parts of `original`, the rest of `edited`, to the nearest level.
fn between(original: u8, edited: u8, kept: u8) -> u8 {
    let kept = u32::from(kept);
    ((u32::from(original) * kept + u32::from(edited) * (255 - kept) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageFormat, Rgb, Rgba, RgbaImage};

    use super::*;

    const LIMITS: ImageLimits = ImageLimits {
        max_pixels: 1 << 20,
        max_side_px: 1 << 10,
        max_bytes: 1 << 20,
    };

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    /// Clear on the left, opaque on the right.
    fn half(width: u32) -> Mask {
        let clear_left = |x, _| Rgba([9, 9, 9, if x < width / 2 { 0 } else { 255 }]);
        Mask::decode(&png(RgbaImage::from_fn(width, 2, clear_left)), &LIMITS).unwrap()
    }

    #[test]
    fn clear_is_edited_and_opaque_is_kept() {
        let original = RgbImage::from_pixel(4, 2, Rgb([10, 20, 30]));
        let mut edited = RgbImage::from_pixel(4, 2, Rgb([200, 100, 0]));
        assert_eq!(half(4).difference(&original, &edited), 190);
        half(4).lay(&original, &mut edited);
        assert_eq!(edited.get_pixel(1, 0).0, [200, 100, 0]);
        assert_eq!(edited.get_pixel(2, 1).0, [10, 20, 30]);
        assert_eq!(half(4).difference(&original, &edited), 0);
    }

    #[test]
    fn another_size_is_masked_alike() {
        let original = RgbImage::from_pixel(4, 2, Rgb([10, 20, 30]));
        let mut edited = RgbImage::from_pixel(8, 4, Rgb([200, 100, 0]));
        half(4).lay(&original, &mut edited);
        assert_eq!(edited.get_pixel(3, 0).0, [200, 100, 0]);
        assert_eq!(edited.get_pixel(4, 3).0, [10, 20, 30]);
    }

    #[test]
    fn a_mask_needs_alpha() {
        let opaque = png(RgbImage::new(4, 2));
        assert!(matches!(
            Mask::decode(&opaque, &LIMITS),
            Err(ImageError::MaskFormat)
        ));
        assert!(Mask::decode(b"GIF89a", &LIMITS).is_err());
    }
}

//! How large an image may be, checked on its header before any pixel is decoded.
use super::ImageError;

/// Bounds on what [`super::decode`] accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLimits {
    /// Width times height.
    pub max_pixels: u64,
    /// Longer side.
    pub max_side_px: u32,
    /// Length of the encoded file.
    pub max_bytes: usize,
}

impl Default for ImageLimits {
    /// A 16-megapixel photo.
    fn default() -> Self {
        Self {
            max_pixels: 4096 * 4096,
            max_side_px: 4096,
            max_bytes: 64 << 20,
        }
    }
}

impl ImageLimits {
    /// Refuses a picture of `width` x `height` pixels that is over the limits.
    pub(super) fn check(&self, width: u32, height: u32) -> Result<(), ImageError> {
        let max_pixels = self.max_pixels;
        if u64::from(width) * u64::from(height) > max_pixels {
            return Err(ImageError::TooManyPixels {
                width,
                height,
                max_pixels,
            });
        }
        let max_side_px = self.max_side_px;
        if width.max(height) > max_side_px {
            return Err(ImageError::SideTooLong {
                width,
                height,
                max_side_px,
            });
        }
        Ok(())
    }
}

//! Pictures to files, without metadata, the same bytes every time.
use super::ImageError;
use image::{
    ImageEncoder, RgbImage,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
        webp::WebPEncoder,
    },
};

/// JPEG quality where none is asked for.
const DEFAULT_QUALITY: u8 = 90;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    Png,
    /// `quality` 1 (worst) to 100.
    Jpeg {
        quality: u8,
    },
    /// Without loss: lossy WebP would need a C library, so it takes no quality.
    Webp,
}

impl OutputFormat {
    /// Reads `png`, `jpeg` (also `jpg`) or `webp`, with the quality asked for, if any.
    ///
    /// # Errors
    /// An unknown name, a quality outside 1..=100, or a quality for a format without loss.
    pub fn parse(name: &str, quality: Option<u32>) -> Result<Self, ImageError> {
        let lossless = match name {
            "png" => Self::Png,
            "webp" => Self::Webp,
            "jpeg" | "jpg" => {
                let quality = quality.unwrap_or(u32::from(DEFAULT_QUALITY));
                let valid = u8::try_from(quality).ok();
                return match valid.filter(|quality| (1..=100).contains(quality)) {
                    Some(quality) => Ok(Self::Jpeg { quality }),
                    None => Err(ImageError::QualityOutOfRange { quality }),
                };
            }
            _ => {
                let name = name.chars().take(32).collect();
                return Err(ImageError::UnknownOutputFormat { name });
            }
        };
        match quality {
            None => Ok(lossless),
            Some(_) => Err(ImageError::QualityWithoutEffect {
                format: lossless.name(),
            }),
        }
    }

    /// `png`, `jpeg` or `webp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg { .. } => "jpeg",
            Self::Webp => "webp",
        }
    }

    /// The media type, as in `image/png`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg { .. } => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

/// Writes `image` as `format`. The PNG compresses fast: more effort costs 10 times the time for 15 %.
///
/// # Errors
/// The format cannot hold the size (16383 pixels a side for WebP, 65535 for JPEG).
pub fn encode(image: &RgbImage, format: &OutputFormat) -> Result<Vec<u8>, ImageError> {
    let mut out = Vec::new();
    let (width, height) = image.dimensions();
    let color = image::ExtendedColorType::Rgb8;
    match format {
        OutputFormat::Png => {
            PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Adaptive)
                .write_image(image, width, height, color)
        }
        OutputFormat::Jpeg { quality } => JpegEncoder::new_with_quality(&mut out, *quality)
            .write_image(image, width, height, color),
        OutputFormat::Webp => {
            WebPEncoder::new_lossless(&mut out).write_image(image, width, height, color)
        }
    }
    .map_err(|error| ImageError::Encode {
        format: format.name(),
        reason: error.to_string(),
    })?;
    Ok(out)
}

//! What can be wrong with an image on its way in or out.
use super::SourceFormat;
use thiserror::Error;

/// Why an image was refused. Each message says what to do next.
#[derive(Debug, Error)]
pub enum ImageError {
    #[error("the image is empty (0 bytes): send the bytes of a PNG, JPEG or WebP file")]
    Empty,
    #[error("the image has {bytes} bytes, the limit is {max_bytes}: send a smaller file")]
    TooManyBytes { bytes: usize, max_bytes: usize },
    #[error("the bytes look like {found}, which is not supported: send PNG, JPEG or WebP")]
    UnknownFormat { found: &'static str },
    #[error("the {format} file ends before the picture does: send the complete file")]
    Truncated { format: SourceFormat },
    #[error("the {format} file is damaged ({reason}): save it again and retry")]
    Damaged {
        format: SourceFormat,
        reason: String,
    },
    #[error("this kind of {format} is not supported ({feature}): save it as an ordinary PNG")]
    Unsupported {
        format: SourceFormat,
        feature: String,
    },
    #[error(
        "the mask is no PNG with transparency: make what is to be edited transparent, and save it as PNG"
    )]
    MaskFormat,
    #[error("the {format} file is an animation: send one still picture")]
    Animated { format: SourceFormat },
    #[error(
        "the image is {width}x{height}, over the limit of {max_pixels} pixels: scale it down first"
    )]
    TooManyPixels {
        width: u32,
        height: u32,
        max_pixels: u64,
    },
    #[error(
        "the image is {width}x{height}, the limit is {max_side_px} pixels a side: scale it down first"
    )]
    SideTooLong {
        width: u32,
        height: u32,
        max_side_px: u32,
    },
    #[error(
        "the image is {width}x{height}, too small to edit: send at least {min_side_px} pixels a side"
    )]
    TooSmall {
        width: u32,
        height: u32,
        min_side_px: u32,
    },
    #[error(
        "the image is {width}x{height}: its sides may differ by a factor of {max_ratio} at most, crop it"
    )]
    TooElongated {
        width: u32,
        height: u32,
        max_ratio: u32,
    },
    #[error(
        "size {text:?} is not understood: write \"auto\" or \"WIDTHxHEIGHT\", as in \"768x512\""
    )]
    BadSize { text: String },
    #[error(
        "size {width}x{height} is out of range: each side is {min_side_px} to {max_side_px} pixels, and at most {max_pixels} pixels in all"
    )]
    SizeOutOfRange {
        width: u32,
        height: u32,
        min_side_px: u32,
        max_side_px: u32,
        max_pixels: u64,
    },
    #[error("output format {name:?} is not known: use \"png\", \"jpeg\" or \"webp\"")]
    UnknownOutputFormat { name: String },
    #[error("quality {quality} is out of range: use 1 to 100")]
    QualityOutOfRange { quality: u32 },
    #[error("{format} is written without loss and takes no quality: leave it out or use \"jpeg\"")]
    QualityWithoutEffect { format: &'static str },
    #[error("the image could not be written as {format} ({reason}): choose another format")]
    Encode {
        format: &'static str,
        reason: String,
    },
    #[error("the model answered pixels that are not numbers: check the weights and the dtype")]
    NotFinite,
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// What was done to an accepted image that its sender should know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImageWarning {
    #[error("the colour profile was ignored ({reason}); the colours were taken as sRGB")]
    ProfileIgnored { reason: String },
}

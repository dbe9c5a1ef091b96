//! The bytes of a file to an upright sRGB picture without alpha.
use super::{
    ImageError, ImageLimits, ImageWarning, SourceFormat, alpha, colour, jpeg, orientation, png,
    sniff::sniff, webp,
};
use image::RgbImage;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// An accepted image.
#[derive(Debug, Clone)]
pub struct SourceImage {
    /// Upright, sRGB, on white.
    pub rgb: RgbImage,
    /// SHA-256 of the bytes as sent, in hexadecimal.
    pub sha256: String,
    pub format: SourceFormat,
    pub warnings: Vec<ImageWarning>,
}

/// Decodes a PNG, JPEG or WebP file.
///
/// # Errors
/// Another format, over `limits` (found on the header, before any pixel is decoded), animated,
/// truncated or damaged.
pub fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<SourceImage, ImageError> {
    let max_bytes = limits.max_bytes;
    if bytes.len() > max_bytes {
        let bytes = bytes.len();
        return Err(ImageError::TooManyBytes { bytes, max_bytes });
    }
    let format = sniff(bytes)?;
    let raster = match format {
        SourceFormat::Png => png::decode(bytes, limits),
        SourceFormat::Jpeg => jpeg::decode(bytes, limits),
        SourceFormat::Webp => webp::decode(bytes, limits),
    }?;
    let (image, warning) = colour::to_srgb(raster.samples, &raster.profile);
    let rgb = alpha::on_white(image);
    let rgb = orientation::upright(rgb, raster.exif.as_deref());
    Ok(SourceImage {
        rgb,
        sha256: hex_sha256(bytes),
        format,
        warnings: warning.into_iter().collect(),
    })
}

fn hex_sha256(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(hex, "{byte:02x}").expect("writing to a String does not fail");
    }
    hex
}

//! WebP, lossy and lossless, still pictures only.
use super::{
    ImageError, ImageLimits, SourceFormat,
    raster::{Raster, Samples, decode_error},
};
use image::{DynamicImage, ImageDecoder, codecs::webp::WebPDecoder};
use std::io::Cursor;

const FORMAT: SourceFormat = SourceFormat::Webp;
/// `RIFF`, the length of what follows, `WEBP`.
const HEADER_BYTES: usize = 12;
/// Four-letter name and length before a chunk's data.
const FRAME_BYTES: usize = 8;

/// Decodes a still WebP.
///
/// # Errors
/// Over `limits`, animated, truncated, damaged.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Raster, ImageError> {
    check_complete(bytes)?;
    let failed = |error| decode_error(FORMAT, error);
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    if decoder.has_animation() {
        return Err(ImageError::Animated { format: FORMAT });
    }
    let profile = decoder.icc_profile().map_err(failed)?.into();
    let exif = decoder.exif_metadata().map_err(failed)?;
    let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok(Raster {
        samples: Samples::Screen(image),
        profile,
        exif,
    })
}

/// Every chunk must lie inside the file: the decoder trusts the lengths.
fn check_complete(bytes: &[u8]) -> Result<(), ImageError> {
    let truncated = || ImageError::Truncated { format: FORMAT };
    let declared = le32(&bytes[4..]).saturating_add(8);
    let mut rest = bytes.get(HEADER_BYTES..declared).ok_or_else(truncated)?;
    while rest.len() >= FRAME_BYTES {
        let length = FRAME_BYTES.saturating_add(le32(&rest[4..]));
        let padded = length.saturating_add(length % 2);
        if length > rest.len() {
            return Err(truncated());
        }
        rest = rest.get(padded..).unwrap_or(&[]);
    }
    Ok(())
}

/// Reads 4 bytes; the callers hold at least as many.
fn le32(bytes: &[u8]) -> usize {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
}

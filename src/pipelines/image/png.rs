//! PNG: the chunks that shape the picture, and nothing else, reach the decoder.
use super::{
    ImageError, ImageLimits, SourceFormat,
    raster::{MAX_PROFILE_BYTES, Profile, Raster, Samples, decode_error},
};
use image::{DynamicImage, ImageDecoder, Limits, codecs::png::PngDecoder};
use std::io::Cursor;

const FORMAT: SourceFormat = SourceFormat::Png;
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Length, type and checksum around a chunk's data.
const FRAME_BYTES: usize = 12;
/// Row buffers and the inflated profile; the picture itself is bounded by its size. This stops an
/// `iCCP` of 400 kB that inflates to 400 MB: it is cut off here and reported as unusable.
const DECODER_BYTES: u64 = 2 * MAX_PROFILE_BYTES as u64;

/// Decodes a PNG of any colour type and depth.
///
/// # Errors
/// Over `limits`, animated, truncated, damaged.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Raster, ImageError> {
    let (width, height) = dimensions(bytes)?;
    limits.check(width, height)?;
    let outline = Outline::read(bytes)?;
    let mut decoder_limits = Limits::no_limits();
    decoder_limits.max_alloc = Some(DECODER_BYTES);
    let mut decoder = PngDecoder::with_limits(Cursor::new(&outline.essential), decoder_limits)
        .map_err(|error| decode_error(FORMAT, error))?;
    let icc = decoder
        .icc_profile()
        .map_err(|error| decode_error(FORMAT, error))?;
    let profile = match (outline.has_profile, icc) {
        (true, None) => Profile::Unusable {
            reason: format!("damaged, or over {} MiB", MAX_PROFILE_BYTES >> 20),
        },
        (_, icc) => icc.into(),
    };
    let image = DynamicImage::from_decoder(decoder).map_err(|error| decode_error(FORMAT, error))?;
    Ok(Raster {
        samples: Samples::Screen(image),
        profile,
        exif: outline.exif,
    })
}

/// Width and height from the header, which the specification puts first.
fn dimensions(bytes: &[u8]) -> Result<(u32, u32), ImageError> {
    let truncated = ImageError::Truncated { format: FORMAT };
    let header = bytes.get(..SIGNATURE.len() + 16).ok_or(truncated)?;
    if !header.starts_with(SIGNATURE) || &header[12..16] != b"IHDR" {
        return Err(ImageError::Damaged {
            format: FORMAT,
            reason: "no header at its start".into(),
        });
    }
    Ok((be32(&header[16..]), be32(&header[20..])))
}

/// Reads 4 bytes; the callers hold at least as many.
fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

struct Outline {
    /// The file without text, time, physical size and unknown chunks.
    essential: Vec<u8>,
    exif: Option<Vec<u8>>,
    has_profile: bool,
}

impl Outline {
    fn read(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut outline = Self {
            essential: SIGNATURE.to_vec(),
            exif: None,
            has_profile: false,
        };
        let mut rest = &bytes[SIGNATURE.len()..];
        while rest.len() >= FRAME_BYTES {
            let length = be32(rest) as usize;
            let Some(chunk) = rest.get(..length.saturating_add(FRAME_BYTES)) else {
                break;
            };
            rest = &rest[chunk.len()..];
            match &chunk[4..8] {
                b"acTL" => return Err(ImageError::Animated { format: FORMAT }),
                b"eXIf" => outline.exif = Some(chunk[8..8 + length].to_vec()),
                b"iCCP" if outline.has_profile => {}
                b"iCCP" => {
                    outline.has_profile = true;
                    if length <= MAX_PROFILE_BYTES {
                        outline.essential.extend_from_slice(chunk);
                    }
                }
                b"IHDR" | b"PLTE" | b"tRNS" | b"IDAT" => {
                    outline.essential.extend_from_slice(chunk);
                }
                b"IEND" => {
                    outline.essential.extend_from_slice(chunk);
                    return Ok(outline);
                }
                _ => {}
            }
        }
        Err(ImageError::Truncated { format: FORMAT })
    }
}

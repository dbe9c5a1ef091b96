//! JPEG through `zune-jpeg` itself: the `image` crate fills what is missing with gray, and hides the inks.
use super::{
    ImageError, ImageLimits, SourceFormat,
    raster::{Raster, Samples},
};
use image::{DynamicImage, GrayImage, RgbImage};
use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

const FORMAT: SourceFormat = SourceFormat::Jpeg;
/// A progressive file may refine the whole picture any number of times; encoders use about ten.
const MAX_SCANS: usize = 64;

/// Decodes a baseline or progressive JPEG: gray, YCbCr, RGB, CMYK or YCCK.
///
/// # Errors
/// Over `limits`, truncated, damaged, or of a rare kind (arithmetic coding, lossless, 12 bits).
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Raster, ImageError> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(MAX_SCANS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(failed)?;
    let (Some(info), Some(stored)) = (decoder.info(), decoder.input_colorspace()) else {
        return Err(ImageError::Truncated { format: FORMAT });
    };
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    limits.check(width, height)?;
    if !is_complete(bytes) {
        return Err(ImageError::Truncated { format: FORMAT });
    }
    let kind = Kind::of(stored)?;
    decoder.set_options(options.jpeg_set_out_colorspace(kind.decoded(stored)));
    let profile = decoder.icc_profile().into();
    let exif = decoder.exif().cloned();
    let samples = decoder.decode().map_err(failed)?;
    let samples = kind.samples((width, height), samples)?;
    Ok(Raster {
        samples,
        profile,
        exif,
    })
}

/// The colours of the stored components.
#[derive(Clone, Copy)]
enum Kind {
    Gray,
    Rgb,
    Cmyk,
    Ycck,
}

impl Kind {
    fn of(stored: ColorSpace) -> Result<Self, ImageError> {
        match stored {
            ColorSpace::Luma => Ok(Self::Gray),
            ColorSpace::YCbCr | ColorSpace::RGB => Ok(Self::Rgb),
            ColorSpace::CMYK => Ok(Self::Cmyk),
            ColorSpace::YCCK => Ok(Self::Ycck),
            other => Err(ImageError::Unsupported {
                format: FORMAT,
                feature: format!("components {other:?}"),
            }),
        }
    }

    /// What to ask the decoder for: inks come as stored.
    fn decoded(self, stored: ColorSpace) -> ColorSpace {
        match self {
            Self::Rgb => ColorSpace::RGB,
            Self::Gray | Self::Cmyk | Self::Ycck => stored,
        }
    }

    fn samples(
        self,
        (width, height): (u32, u32),
        mut samples: Vec<u8>,
    ) -> Result<Samples, ImageError> {
        let screen = match self {
            Self::Gray => GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
            Self::Rgb => RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
            Self::Cmyk | Self::Ycck => {
                for pixel in samples.as_chunks_mut::<4>().0 {
                    *pixel = self.inks(*pixel);
                }
                return Ok(Samples::Cmyk {
                    width,
                    height,
                    inks: samples,
                });
            }
        };
        screen.map(Samples::Screen).ok_or(ImageError::Damaged {
            format: FORMAT,
            reason: "fewer samples than its size says".into(),
        })
    }

    /// Adobe writes inks inverted (255 = none), and every other writer of CMYK JPEG follows it.
    fn inks(self, [a, b, c, k]: [u8; 4]) -> [u8; 4] {
        match self {
            Self::Ycck => {
                // YCCK holds the inverted inks, inverted once more, as YCbCr (JFIF, BT.601).
                let (y, cb, cr) = (f32::from(a), f32::from(b) - 128.0, f32::from(c) - 128.0);
                let ink = |value: f32| value.round_ties_even().clamp(0.0, 255.0) as u8;
                [
                    ink(y + 1.402 * cr),
                    ink(y - 0.344_136 * cb - 0.714_136 * cr),
                    ink(y + 1.772 * cb),
                    255 - k,
                ]
            }
            _ => [255 - a, 255 - b, 255 - c, 255 - k],
        }
    }
}

/// Whether an end marker follows the first scan. The decoder itself does not miss the last bytes.
fn is_complete(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, ref rest @ ..]) = bytes.get(at..) {
        match (marker, rest) {
            (0xff, _) => at += 1,
            (0xda, scan) => return scan.windows(2).any(|pair| pair == [0xff, 0xd9]),
            (_, [high, low, ..]) => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => return false,
        }
    }
    false
}

fn failed(error: DecodeErrors) -> ImageError {
    match error {
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => {
            ImageError::Truncated { format: FORMAT }
        }
        DecodeErrors::Unsupported(scheme) => ImageError::Unsupported {
            format: FORMAT,
            feature: format!("{scheme:?}"),
        },
        error => ImageError::Damaged {
            format: FORMAT,
            reason: format!("{error:?}"),
        },
    }
}

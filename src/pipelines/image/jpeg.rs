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
    let outline = Outline::read(bytes)?;
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
    if !outline.complete {
        return Err(ImageError::Truncated { format: FORMAT });
    }
    let kind = Kind::of(info.components, stored)?;
    decoder.set_options(options.jpeg_set_out_colorspace(kind.decoded()));
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
    /// `stored` alone does not tell: until it decodes, the decoder calls three plain components CMYK.
    fn of(components: u8, stored: ColorSpace) -> Result<Self, ImageError> {
        match (components, stored) {
            (1, _) => Ok(Self::Gray),
            (3, _) => Ok(Self::Rgb),
            (4, ColorSpace::CMYK) => Ok(Self::Cmyk),
            (4, ColorSpace::YCCK) => Ok(Self::Ycck),
            _ => Err(unsupported(format!("{components} components, {stored:?}"))),
        }
    }

    /// What to ask the decoder for: inks come as stored.
    fn decoded(self) -> ColorSpace {
        match self {
            Self::Gray => ColorSpace::Luma,
            Self::Rgb => ColorSpace::RGB,
            Self::Cmyk => ColorSpace::CMYK,
            Self::Ycck => ColorSpace::YCCK,
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

/// What the markers say up to the first scan, and whether an end marker follows it: the decoder
/// takes a file that lacks its last bytes, and calls a coding it does not know damage.
struct Outline {
    complete: bool,
}

impl Outline {
    fn read(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut at = 2;
        while let Some(&[first, marker, ref rest @ ..]) = bytes.get(at..) {
            if first != 0xff || marker == 0xff {
                at += 1; // fill
                continue;
            }
            match (marker, rest) {
                (0xc4 | 0xc8 | 0xcc, _) => {} // tables, not frames
                (0xc0..=0xc2, &[_, _, 8, ..]) => {}
                (0xc0..=0xc2, &[_, _, bits, ..]) => {
                    return Err(unsupported(format!("{bits} bits a sample")));
                }
                (0xc3..=0xcf, _) => {
                    return Err(unsupported("arithmetic, lossless or hierarchical coding"));
                }
                (0xda, scan) => {
                    let complete = scan.windows(2).any(|pair| pair == [0xff, 0xd9]);
                    return Ok(Self { complete });
                }
                _ => {}
            }
            let &[high, low, ..] = rest else { break };
            at += 2 + usize::from(u16::from_be_bytes([high, low]));
        }
        Ok(Self { complete: false })
    }
}

fn unsupported(feature: impl Into<String>) -> ImageError {
    ImageError::Unsupported {
        format: FORMAT,
        feature: feature.into(),
    }
}

fn failed(error: DecodeErrors) -> ImageError {
    match error {
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => {
            ImageError::Truncated { format: FORMAT }
        }
        DecodeErrors::Unsupported(scheme) => unsupported(format!("{scheme:?}")),
        error => ImageError::Damaged {
            format: FORMAT,
            reason: error.to_string().trim_matches('"').into(),
        },
    }
}

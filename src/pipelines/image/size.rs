//! The sizes an image takes: what the model sees, and what is answered.
use super::{ImageError, ImageLimits};

/// Smaller pictures have nothing to edit: not even one patch of the model.
const MIN_SIDE_PX: u32 = 16;
/// Longer strips leave the shorter side too few patches, and were never trained on.
const MAX_RATIO: u32 = 8;
/// What the Python reference rounds widths to.
const REFERENCE_MULTIPLE: u32 = 16;

/// How a picture is brought to the size the model works at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preprocess {
    /// Keeps the aspect at an area: the sides that have exactly `target_area_px` and the picture's
    /// aspect are each rounded to the nearest multiple of `multiple` pixels, at least one.
    Area { target_area_px: u64, multiple: u32 },
    /// `preprocess_reference` of the Python reference: `resolution` pixels high, the width in
    /// proportion, rounded down to a pixel, then half to even to a multiple of 16, at least one.
    Reference { resolution: u32 },
}

/// The size `(width, height)` at which the model sees a picture of `width` x `height` pixels.
///
/// # Errors
/// A side under 16 pixels, or sides that differ by more than a factor of 8.
pub fn model_size(
    width: u32,
    height: u32,
    preprocess: &Preprocess,
) -> Result<(u32, u32), ImageError> {
    if width.min(height) < MIN_SIDE_PX {
        return Err(ImageError::TooSmall {
            width,
            height,
            min_side_px: MIN_SIDE_PX,
        });
    }
    if u64::from(width.max(height)) > u64::from(width.min(height)) * u64::from(MAX_RATIO) {
        return Err(ImageError::TooElongated {
            width,
            height,
            max_ratio: MAX_RATIO,
        });
    }
    Ok(match *preprocess {
        Preprocess::Area {
            target_area_px,
            multiple,
        } => {
            let (area, step) = (target_area_px as f64, f64::from(multiple));
            let side = |along: u32, across: u32| {
                let exact = (area * f64::from(along) / f64::from(across)).sqrt();
                (exact / step).round().max(1.0) as u32 * multiple
            };
            (side(width, height), side(height, width))
        }
        Preprocess::Reference { resolution } => {
            let exact = u64::from(width) * u64::from(resolution) / u64::from(height);
            let steps = (exact as f64 / f64::from(REFERENCE_MULTIPLE)).round_ties_even();
            let steps = (steps as u32).max(1);
            (steps * REFERENCE_MULTIPLE, resolution)
        }
    })
}

/// The size of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputSize {
    /// That of the input.
    Auto,
    Exact {
        width: u32,
        height: u32,
    },
}

impl OutputSize {
    /// Reads `auto` or `WIDTHxHEIGHT` in pixels.
    ///
    /// # Errors
    /// Another form, a side under 16 pixels, or over `limits`.
    pub fn parse(text: &str, limits: &ImageLimits) -> Result<Self, ImageError> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let bad = || ImageError::BadSize {
            text: text.chars().take(32).collect(),
        };
        let (width, height) = text.split_once('x').ok_or_else(bad)?;
        let side = |digits: &str| -> Option<u32> {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| plain)
        };
        let (width, height) = side(width).zip(side(height)).ok_or_else(bad)?;
        if width.min(height) < MIN_SIDE_PX || limits.check(width, height).is_err() {
            return Err(ImageError::SizeOutOfRange {
                width,
                height,
                min_side_px: MIN_SIDE_PX,
                max_side_px: limits.max_side_px,
                max_pixels: limits.max_pixels,
            });
        }
        Ok(Self::Exact { width, height })
    }

    /// The size `(width, height)` of the answer to a picture of size `input`.
    pub fn resolve(self, input: (u32, u32)) -> (u32, u32) {
        match self {
            Self::Auto => input,
            Self::Exact { width, height } => (width, height),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Preprocess = Preprocess::Area {
        target_area_px: 512 * 512,
        multiple: 16,
    };

    #[test]
    fn area_keeps_the_aspect_on_the_grid() {
        for (input, expected) in [
            ((512, 512), (512, 512)),
            ((16, 16), (512, 512)),
            ((4000, 3000), (592, 448)), // 591.2 x 443.4
            ((3000, 4000), (448, 592)),
            ((1920, 1080), (688, 384)), // 682.7 x 384.0
            ((1600, 200), (1456, 176)), // 1448.2 x 181.0
        ] {
            assert_eq!(
                model_size(input.0, input.1, &AREA).unwrap(),
                expected,
                "{input:?}"
            );
        }
    }

    #[test]
    fn a_side_has_at_least_one_multiple() {
        let tiny = Preprocess::Area {
            target_area_px: 32 * 32,
            multiple: 32,
        };
        assert_eq!(model_size(800, 100, &tiny).unwrap(), (96, 32));
    }

    #[test]
    fn reference_rounds_half_to_even() {
        let reference = Preprocess::Reference { resolution: 64 };
        // 72 / 16 = 4.5 -> 4, 88 / 16 = 5.5 -> 6
        assert_eq!(model_size(72, 64, &reference).unwrap(), (64, 64));
        assert_eq!(model_size(88, 64, &reference).unwrap(), (96, 64));
        // int(100 * 64 / 33) = 193 -> 12.06
        assert_eq!(model_size(100, 33, &reference).unwrap(), (192, 64));
    }

    #[test]
    fn refuses_specks_and_strips() {
        assert!(matches!(
            model_size(1, 1, &AREA),
            Err(ImageError::TooSmall {
                min_side_px: 16,
                ..
            })
        ));
        assert!(model_size(128, 16, &AREA).is_ok());
        assert!(matches!(
            model_size(129, 16, &AREA),
            Err(ImageError::TooElongated { max_ratio: 8, .. })
        ));
    }

    #[test]
    fn reads_sizes() {
        let limits = ImageLimits::default();
        assert_eq!(
            OutputSize::parse("auto", &limits).unwrap(),
            OutputSize::Auto
        );
        let exact = OutputSize::parse("768x512", &limits).unwrap();
        assert_eq!(exact.resolve((10, 10)), (768, 512));
        assert_eq!(OutputSize::Auto.resolve((10, 10)), (10, 10));
        for text in [
            "",
            "x",
            "512",
            "512x",
            "-5x5",
            "+50x50",
            "1e3x512",
            "512X512",
            "99999999999x16",
            " 64x64",
        ] {
            assert!(
                matches!(
                    OutputSize::parse(text, &limits),
                    Err(ImageError::BadSize { .. })
                ),
                "{text:?}"
            );
        }
        for text in ["0x0", "15x512", "4097x16", "5000x5000"] {
            assert!(
                matches!(
                    OutputSize::parse(text, &limits),
                    Err(ImageError::SizeOutOfRange { .. })
                ),
                "{text:?}"
            );
        }
    }
}

//! A decoded picture before its colours are known to be sRGB.
use super::ImageError;
use image::DynamicImage;

/// What a format's decoder answers.
pub(super) struct Raster {
    pub samples: Samples,
    /// Embedded colour profile.
    pub profile: Profile,
    /// EXIF data without the `Exif\0\0` prefix.
    pub exif: Option<Vec<u8>>,
}

pub(super) enum Samples {
    /// Gray or RGB, with or without alpha, 8 or 16 bits.
    Screen(DynamicImage),
    /// Four inks a pixel, 0 = none, 255 = full, row-major.
    Cmyk {
        width: u32,
        height: u32,
        inks: Vec<u8>,
    },
}

pub(super) enum Profile {
    None,
    Icc(Vec<u8>),
    /// There is one, but it cannot be used.
    Unusable {
        reason: String,
    },
}

/// Larger profiles are not worth their cost: a detailed CMYK profile has about 3 MB.
pub(super) const MAX_PROFILE_BYTES: usize = 4 << 20;

impl From<Option<Vec<u8>>> for Profile {
    fn from(icc: Option<Vec<u8>>) -> Self {
        match icc {
            None => Self::None,
            Some(icc) if icc.len() > MAX_PROFILE_BYTES => Self::too_large(),
            Some(icc) => Self::Icc(icc),
        }
    }
}

impl Profile {
    pub(super) fn too_large() -> Self {
        Self::Unusable {
            reason: format!("over {} MiB", MAX_PROFILE_BYTES >> 20),
        }
    }
}

/// A decoder of the `image` crate failed on `format`.
pub(super) fn decode_error(format: super::SourceFormat, error: image::ImageError) -> ImageError {
    match error {
        image::ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImageError::Truncated { format }
        }
        image::ImageError::Unsupported(error) => ImageError::Unsupported {
            format,
            feature: error.to_string(),
        },
        error => ImageError::Damaged {
            format,
            reason: error.to_string(),
        },
    }
}

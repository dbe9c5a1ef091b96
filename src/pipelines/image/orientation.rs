//! EXIF orientation.
use image::{DynamicImage, RgbImage, metadata::Orientation};

/// Some writers keep the JPEG marker's prefix in PNG and WebP.
const PREFIX: &[u8] = b"Exif\0\0";

/// Turns the picture the way its EXIF data says it was taken; damaged EXIF data is no reason to.
pub(super) fn upright(rgb: RgbImage, exif: Option<&[u8]>) -> RgbImage {
    let exif = exif.map(|exif| exif.strip_prefix(PREFIX).unwrap_or(exif));
    let orientation = exif.and_then(Orientation::from_exif_chunk);
    match orientation {
        None | Some(Orientation::NoTransforms) => rgb,
        Some(orientation) => {
            let mut image = DynamicImage::ImageRgb8(rgb);
            image.apply_orientation(orientation);
            image.into_rgb8()
        }
    }
}

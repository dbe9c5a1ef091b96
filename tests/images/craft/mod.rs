//! Files made byte by byte, so that no binary has to be kept.
pub mod jpeg;
pub mod png;
pub mod webp;

use image::RgbImage;
use npedit::pipelines::image::{OutputFormat, encode};

/// A picture in which no two neighbours are equal.
pub fn pattern(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([
            (x * 37 + 11) as u8,
            (y * 53 + 5) as u8,
            (x * y * 29 + 3) as u8,
        ])
    })
}

/// The same picture in the three formats.
pub fn files(width: u32, height: u32) -> Vec<Vec<u8>> {
    let image = pattern(width, height);
    [
        OutputFormat::Png,
        OutputFormat::Jpeg { quality: 95 },
        OutputFormat::Webp,
    ]
    .map(|format| encode(&image, &format).unwrap())
    .to_vec()
}

/// EXIF data (little-endian TIFF) with an orientation and nothing else.
pub fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0".to_vec();
    exif.extend_from_slice(&[0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    exif.extend_from_slice(&[0; 4]);
    exif
}

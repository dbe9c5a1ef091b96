//! Image files to send.
use std::io::Cursor;

use base64::{Engine, prelude::BASE64_STANDARD};
use image::{DynamicImage, ImageBuffer, ImageFormat, Rgb, RgbImage};

pub fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A small photo-like picture.
pub fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]))
}

pub fn png() -> Vec<u8> {
    encoded(gradient(48, 32), ImageFormat::Png)
}

pub fn png_16_bit() -> Vec<u8> {
    let image: ImageBuffer<Rgb<u16>, Vec<u16>> =
        ImageBuffer::from_fn(48, 32, |x, y| Rgb([x as u16 * 1000, y as u16 * 2000, 7]));
    encoded(image, ImageFormat::Png)
}

pub fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub fn decode(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    };
    !bytes.iter().fold(!0, step)
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name, data].concat();
    [
        &(data.len() as u32).to_be_bytes()[..],
        &body,
        &crc32(&body).to_be_bytes(),
    ]
    .concat()
}

/// Bytes before the first chunk after `IHDR`.
const PNG_HEAD: usize = 8 + 12 + 13;

/// A PNG whose header claims a size that its data does not have.
pub fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let png = png();
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = chunk(b"IHDR", &[&size, &png[24..29]].concat());
    [&png[..8], &header, &png[PNG_HEAD..]].concat()
}

/// A PNG with an animation control chunk of two frames.
pub fn animated_png() -> Vec<u8> {
    let png = png();
    let control = chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    [&png[..PNG_HEAD], &control, &png[PNG_HEAD..]].concat()
}

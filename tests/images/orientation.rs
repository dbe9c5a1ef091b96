//! The eight EXIF orientations on a picture of 3 x 2 pixels, in every format.
use crate::craft::{self, jpeg, png, png::Png, webp};
use npedit::pipelines::image::{ImageLimits, OutputFormat, decode, encode};

/// Rows of the upright picture when the stored rows are `abc` and `def`, by orientation.
const UPRIGHT: [&[&str]; 9] = [
    &["abc", "def"], // 0 does not exist
    &["abc", "def"],
    &["cba", "fed"],
    &["fed", "cba"],
    &["def", "abc"],
    &["ad", "be", "cf"],
    &["da", "eb", "fc"],
    &["fc", "eb", "da"],
    &["cf", "be", "ad"],
];

fn rows(file: &[u8]) -> Vec<String> {
    let image = decode(file, &ImageLimits::default()).unwrap().rgb;
    let letter = |pixel: &image::Rgb<u8>| char::from(b'a' + pixel.0[0] / 40);
    image.rows().map(|row| row.map(letter).collect()).collect()
}

#[test]
fn png_and_webp() {
    let letters = [10, 50, 90, 130, 170, 210];
    let image =
        image::RgbImage::from_fn(3, 2, |x, y| image::Rgb([letters[(y * 3 + x) as usize]; 3]));
    let still = encode(&image, &OutputFormat::Webp).unwrap();
    for (orientation, expected) in UPRIGHT.iter().enumerate() {
        let exif = craft::exif(orientation as u8);
        let png = Png::new(3, 2, 8, png::GRAY)
            .chunk(b"eXIf", &exif)
            .rows(&[&letters[..3], &letters[3..]])
            .file();
        assert_eq!(rows(&png), *expected, "png {orientation}");
        assert_eq!(
            rows(&webp::with_exif(&still, &exif, (3, 2))),
            *expected,
            "webp {orientation}"
        );
        let prefixed = [b"Exif\0\0", &exif[..]].concat();
        assert_eq!(
            rows(&webp::with_exif(&still, &prefixed, (3, 2))),
            *expected,
            "{orientation}"
        );
    }
}

#[test]
fn jpeg_with_its_marker() {
    let file = jpeg::flat((3, 2), &[90], jpeg::Marker::None);
    for (orientation, expected) in UPRIGHT.iter().enumerate() {
        let exif = [b"Exif\0\0", &craft::exif(orientation as u8)[..]].concat();
        let turned = rows(&jpeg::with_segment(&file, 0xe1, &exif));
        assert_eq!(turned.len(), expected.len(), "{orientation}");
    }
}

#[test]
fn damaged_exif_is_no_reason_to_turn() {
    let exif = craft::exif(6);
    for length in 0..exif.len() - 8 {
        let png = Png::new(3, 1, 8, png::GRAY)
            .chunk(b"eXIf", &exif[..length])
            .rows(&[&[10, 50, 90]])
            .file();
        assert_eq!(rows(&png), ["abc"], "{length}");
    }
}

//! Every kind of file that is accepted, against pixels known beforehand.
use crate::craft::{self, jpeg, jpeg::Marker, png, png::Png};
use npedit::pipelines::image::{ImageLimits, RgbImage, SourceFormat, decode};

fn pixels(file: &[u8]) -> RgbImage {
    let image = decode(file, &ImageLimits::default()).unwrap();
    assert!(image.warnings.is_empty(), "{:?}", image.warnings);
    image.rgb
}

#[test]
fn the_three_formats() {
    let expected = craft::pattern(40, 30);
    let formats = [SourceFormat::Png, SourceFormat::Jpeg, SourceFormat::Webp];
    for (file, format) in craft::files(40, 30).iter().zip(formats) {
        let image = decode(file, &ImageLimits::default()).unwrap();
        assert_eq!(image.format, format);
        assert_eq!(image.rgb.dimensions(), (40, 30));
        if format != SourceFormat::Jpeg {
            assert_eq!(image.rgb, expected);
        }
    }
}

#[test]
fn the_hash_is_of_the_bytes_as_sent() {
    let file = Png::new(1, 1, 8, png::GRAY).rows(&[&[7]]).file();
    let image = decode(&file, &ImageLimits::default()).unwrap();
    assert_eq!(image.rgb.as_raw(), &[7, 7, 7]);
    let commented = Png::new(1, 1, 8, png::GRAY)
        .chunk(b"tEXt", b"k\0v")
        .rows(&[&[7]])
        .file();
    let other = decode(&commented, &ImageLimits::default()).unwrap();
    assert_eq!(other.rgb, image.rgb);
    assert_ne!(other.sha256, image.sha256);
    assert_eq!(image.sha256.len(), 64);
}

#[test]
fn png_depths_and_colour_types() {
    let palette = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7];
    let cases: Vec<(Vec<u8>, [u8; 6])> = vec![
        // 2 pixels each; 2-bit palette indexes 1 and 3
        (
            Png::new(2, 1, 2, png::PALETTE)
                .chunk(b"PLTE", &palette)
                .rows(&[&[0b0111_0000]])
                .file(),
            [0, 255, 0, 9, 8, 7],
        ),
        // a clear palette entry shows white
        (
            Png::new(2, 1, 8, png::PALETTE)
                .chunk(b"PLTE", &palette)
                .chunk(b"tRNS", &[255, 0])
                .rows(&[&[0, 1]])
                .file(),
            [255, 0, 0, 255, 255, 255],
        ),
        (
            Png::new(2, 1, 1, png::GRAY).rows(&[&[0b0100_0000]]).file(),
            [0, 0, 0, 255, 255, 255],
        ),
        (
            Png::new(2, 1, 4, png::GRAY).rows(&[&[0x2f]]).file(),
            [34, 34, 34, 255, 255, 255],
        ),
        (
            Png::new(2, 1, 8, png::GRAY_ALPHA)
                .rows(&[&[0, 255, 0, 51]])
                .file(),
            [0, 0, 0, 204, 204, 204],
        ),
        // 16 bits are rounded, not cut: 0x7fff is 127.5 levels less half a step of 1/257
        (
            Png::new(2, 1, 16, png::GRAY)
                .rows(&[&[0x12, 0x34, 0x80, 0xff]])
                .file(),
            [18, 18, 18, 128, 128, 128],
        ),
        (
            Png::new(2, 1, 16, png::RGB)
                .rows(&[&[0xff, 0xff, 0, 0, 0x40, 0x40, 0, 255, 1, 0, 2, 0]])
                .file(),
            [255, 0, 64, 1, 1, 2],
        ),
        (
            Png::new(2, 1, 16, png::RGBA)
                .rows(&[&[9, 9, 8, 8, 7, 7, 0xff, 0xff, 9, 9, 8, 8, 7, 7, 0, 0]])
                .file(),
            [9, 8, 7, 255, 255, 255],
        ),
    ];
    for (i, (file, expected)) in cases.iter().enumerate() {
        assert_eq!(pixels(file).as_raw(), expected, "case {i}");
    }
}

#[test]
fn jpeg_components() {
    let adobe = |transform| Marker::Adobe { transform };
    // Inks are stored inverted: 255 is none. Light is (255 - ink) * (255 - black) / 255.
    for (levels, marker, expected) in [
        (&[77][..], Marker::None, [77, 77, 77]),
        (&[200, 128, 128], Marker::None, [200, 200, 200]),
        (&[76, 85, 255], Marker::None, [254, 0, 0]),
        (&[250, 100, 30], adobe(0), [250, 100, 30]),
        (&[255, 128, 0, 255], adobe(0), [255, 128, 0]),
        (&[255, 128, 64, 51], adobe(0), [51, 26, 13]),
        (&[255, 128, 64, 51], Marker::None, [51, 26, 13]),
        // inks as YCbCr, inverted once more: y 55 without colour is ink 55 of each
        (&[55, 128, 128, 255], adobe(2), [200, 200, 200]),
        (&[76, 85, 255, 255], adobe(2), [1, 255, 255]),
    ] {
        let image = pixels(&jpeg::flat((17, 9), levels, marker));
        assert_eq!(image.dimensions(), (17, 9));
        for pixel in image.pixels() {
            assert_eq!(pixel.0, expected, "{levels:?}");
        }
    }
}

#[test]
fn bytes_after_the_picture_do_not_matter() {
    for mut file in craft::files(9, 9) {
        let before = pixels(&file);
        file.extend_from_slice(b"appended by a camera");
        assert_eq!(pixels(&file), before);
    }
}

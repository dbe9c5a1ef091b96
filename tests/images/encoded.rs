//! What goes out.
use crate::craft;
use npedit::pipelines::image::{ImageError, ImageLimits, OutputFormat, decode, encode};

#[test]
fn the_same_bytes_every_time_and_no_metadata() {
    let image = craft::pattern(50, 40);
    for format in [
        OutputFormat::Png,
        OutputFormat::Jpeg { quality: 90 },
        OutputFormat::Webp,
    ] {
        let file = encode(&image, &format).unwrap();
        assert_eq!(file, encode(&image, &format).unwrap());
        for marker in [&b"Exif"[..], b"ICC", b"iCCP", b"tEXt", b"tIME"] {
            assert!(
                !file.windows(marker.len()).any(|part| part == marker),
                "{format:?}"
            );
        }
        let back = decode(&file, &ImageLimits::default()).unwrap();
        assert_eq!(back.rgb.dimensions(), (50, 40));
    }
}

#[test]
fn quality_costs_bytes() {
    let image = craft::pattern(64, 64);
    let size = |quality| {
        encode(&image, &OutputFormat::Jpeg { quality })
            .unwrap()
            .len()
    };
    assert!(size(1) < size(50) && size(50) < size(100));
}

#[test]
fn formats_are_read_and_no_parameter_is_lost() {
    let parse = OutputFormat::parse;
    assert_eq!(parse("png", None).unwrap(), OutputFormat::Png);
    assert_eq!(parse("webp", None).unwrap(), OutputFormat::Webp);
    assert_eq!(
        parse("jpg", None).unwrap(),
        OutputFormat::Jpeg { quality: 90 }
    );
    assert_eq!(
        parse("jpeg", Some(100)).unwrap(),
        OutputFormat::Jpeg { quality: 100 }
    );
    for quality in [0, 101, 357] {
        assert!(matches!(
            parse("jpeg", Some(quality)),
            Err(ImageError::QualityOutOfRange { quality: found }) if found == quality
        ));
    }
    for format in ["png", "webp"] {
        assert!(matches!(
            parse(format, Some(80)),
            Err(ImageError::QualityWithoutEffect { format: found }) if found == format
        ));
    }
    for name in ["", "gif", "PNG", "image/png"] {
        assert!(matches!(
            parse(name, None),
            Err(ImageError::UnknownOutputFormat { .. })
        ));
    }
}

#[test]
fn a_size_that_the_format_cannot_hold_is_an_error() {
    let wide = image::RgbImage::new(16_385, 1);
    let error = encode(&wide, &OutputFormat::Webp).unwrap_err();
    assert!(
        matches!(error, ImageError::Encode { format: "webp", .. }),
        "{error}"
    );
}

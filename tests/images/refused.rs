//! Files that must be refused, and for the reason that is true.
use crate::craft::{self, jpeg, png, png::Png, webp};
use npedit::pipelines::image::{
    ImageError, ImageLimits, OutputFormat, SourceFormat, decode, encode,
};
use std::time::{Duration, Instant};

fn refusal(file: &[u8]) -> ImageError {
    match decode(file, &ImageLimits::default()) {
        Ok(image) => panic!("accepted: {:?}", image.rgb.dimensions()),
        Err(error) => error,
    }
}

#[test]
fn no_beginning_of_a_file_is_a_picture() {
    for file in craft::files(19, 23) {
        decode(&file, &ImageLimits::default()).unwrap();
        for length in 0..file.len() {
            let part = &file[..length];
            assert!(
                decode(part, &ImageLimits::default()).is_err(),
                "{length} of {}",
                file.len()
            );
        }
        let most = &file[..file.len() - 3];
        assert!(
            matches!(refusal(most), ImageError::Truncated { .. }),
            "{}",
            refusal(most)
        );
    }
}

#[test]
fn sizes_are_checked_on_the_header_alone() {
    let started = Instant::now();
    let headers = [
        Png::new(40_000, 40_000, 8, png::RGB).rows(&[]).file(),
        jpeg::header((40_000, 40_000), 3, jpeg::Marker::None),
    ];
    for file in headers {
        assert!(
            matches!(
                refusal(&file),
                ImageError::TooManyPixels {
                    width: 40_000,
                    height: 40_000,
                    ..
                }
            ),
            "{}",
            refusal(&file)
        );
    }
    let strip = Png::new(5000, 2, 8, png::RGB).rows(&[]).file();
    assert!(matches!(
        refusal(&strip),
        ImageError::SideTooLong {
            width: 5000,
            max_side_px: 4096,
            ..
        }
    ));
    let limits = ImageLimits {
        max_pixels: 436,
        ..ImageLimits::default()
    };
    for file in craft::files(19, 23) {
        assert!(matches!(
            decode(&file, &limits),
            Err(ImageError::TooManyPixels {
                max_pixels: 436,
                ..
            })
        ));
    }
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn long_files_are_not_even_looked_at() {
    let limits = ImageLimits {
        max_bytes: 100,
        ..ImageLimits::default()
    };
    let error = decode(&[0; 101], &limits).unwrap_err();
    assert!(matches!(
        error,
        ImageError::TooManyBytes {
            bytes: 101,
            max_bytes: 100
        }
    ));
}

#[test]
fn animations_are_named() {
    let moving = Png::new(1, 1, 8, png::GRAY)
        .chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0])
        .rows(&[&[7]])
        .file();
    assert!(matches!(
        refusal(&moving),
        ImageError::Animated {
            format: SourceFormat::Png
        }
    ));
    let still = encode(&craft::pattern(6, 4), &OutputFormat::Webp).unwrap();
    let moving = webp::animated(&still, (6, 4));
    assert!(
        matches!(
            refusal(&moving),
            ImageError::Animated {
                format: SourceFormat::Webp
            }
        ),
        "{}",
        refusal(&moving)
    );
}

#[test]
fn damage_inside_a_picture_is_seen() {
    // A PNG has checksums and a JPEG markers; lossless WebP has neither.
    let damages = [&[0; 40][..], &[0xff, 0xc0]];
    for (file, damage) in craft::files(200, 100).iter().zip(damages) {
        let mut file = file.clone();
        let middle = file.len() / 2;
        file[middle..middle + damage.len()].copy_from_slice(damage);
        match decode(&file, &ImageLimits::default()) {
            Err(ImageError::Damaged { .. } | ImageError::Truncated { .. }) => {}
            other => panic!(
                "{:?} of {} bytes",
                other.map(|image| image.format),
                file.len()
            ),
        }
    }
}

#[test]
fn rare_kinds_are_named() {
    let mut arithmetic = jpeg::flat((8, 8), &[128], jpeg::Marker::None);
    let frame = arithmetic
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    arithmetic[frame + 1] = 0xc9;
    let error = refusal(&arithmetic);
    assert!(
        matches!(
            error,
            ImageError::Unsupported {
                format: SourceFormat::Jpeg,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_name_is_no_picture() {
    assert!(matches!(refusal(b""), ImageError::Empty));
    assert!(matches!(
        refusal(b"GIF89a..."),
        ImageError::UnknownFormat { found: "GIF" }
    ));
    let tail = refusal(b"\x89PNG\r\n\x1a\n");
    assert!(
        matches!(
            tail,
            ImageError::Truncated {
                format: SourceFormat::Png
            }
        ),
        "{tail}"
    );
    let zero = refusal(&Png::new(0, 5, 8, png::RGB).rows(&[]).file());
    assert!(matches!(zero, ImageError::Damaged { .. }), "{zero}");
}

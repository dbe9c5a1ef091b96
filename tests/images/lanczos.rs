//! Resizing against what Pillow answered (`tests/golden_image/make.py` wrote the file).
use image::RgbImage;
use npedit::pipelines::image::resize_lanczos;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    from: (u32, u32),
    to: (u32, u32),
    sha256: String,
}

fn noise(seed: u32, (width, height): (u32, u32)) -> RgbImage {
    let mut state = seed;
    let bytes = (0..width * height * 3).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    RgbImage::from_raw(width, height, bytes.collect()).unwrap()
}

#[test]
fn every_byte_is_pillows() {
    let golden: Golden =
        serde_json::from_str(include_str!("../golden_image/lanczos.json")).unwrap();
    assert!(golden.cases.len() > 100);
    for (seed, case) in golden.cases.iter().enumerate() {
        let out = resize_lanczos(&noise(seed as u32, case.from), case.to);
        assert_eq!(out.dimensions(), case.to);
        let digest: String = Sha256::digest(out.as_raw())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(digest, case.sha256, "{:?} -> {:?}", case.from, case.to);
    }
}

#[test]
fn one_colour_stays_one_colour() {
    let flat = RgbImage::from_pixel(31, 17, image::Rgb([3, 128, 255]));
    for size in [(1, 1), (17, 31), (90, 5), (64, 64)] {
        let out = resize_lanczos(&flat, size);
        assert!(
            out.pixels().all(|pixel| pixel.0 == [3, 128, 255]),
            "{size:?}"
        );
    }
}

//! Whatever the bytes, an answer and no panic.
use crate::craft::{self, jpeg, jpeg::Marker, png, png::Png, webp};
use moxcms::ColorProfile;
use npedit::pipelines::image::{ImageLimits, OutputFormat, decode, encode};
use proptest::prelude::*;

fn limits() -> ImageLimits {
    ImageLimits {
        max_pixels: 64 * 64,
        max_side_px: 256,
        max_bytes: 1 << 20,
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let mut seeds = craft::files(13, 11);
    let still = encode(&craft::pattern(6, 4), &OutputFormat::Webp).unwrap();
    seeds.push(webp::with_exif(&still, &craft::exif(6), (6, 4)));
    seeds.push(webp::animated(&still, (6, 4)));
    let inks = jpeg::flat((16, 16), &[1, 200, 30, 4], Marker::Adobe { transform: 2 });
    seeds.push(jpeg::with_segment(
        &inks,
        0xe1,
        &[b"Exif\0\0", &craft::exif(5)[..]].concat(),
    ));
    let data = [b"ICC_PROFILE\0\x01\x01", &profile[..]].concat();
    let screen = jpeg::flat((16, 16), &[1, 200, 30], Marker::None);
    seeds.push(jpeg::with_segment(&screen, 0xe2, &data));
    seeds
}

proptest! {
    #[test]
    fn noise_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..512), start in 0usize..4) {
        let starts = [&b""[..], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff", b"RIFF\xff\0\0\0WEBPVP8"];
        let _ = decode(&[starts[start], &bytes].concat(), &limits());
    }

    #[test]
    fn changed_files_are_answered(
        seed in 0usize..7,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        keep in any::<bool>(),
    ) {
        let mut file = seeds().swap_remove(seed);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if !keep {
            file.truncate(cut.index(file.len()));
        }
        if let Ok(image) = decode(&file, &limits()) {
            prop_assert!(u64::from(image.rgb.width()) * u64::from(image.rgb.height()) <= 64 * 64);
        }
    }

    /// Checksums would catch a change in a PNG's profile: change it before it is packed.
    #[test]
    fn changed_profiles_are_answered(
        kind in 0usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let (profile, color, row) = match kind {
            0 => (ColorProfile::new_display_p3(), png::RGB, &[1, 2, 3][..]),
            1 => (ColorProfile::new_gray_with_gamma(2.2), png::GRAY, &[1][..]),
            _ => (ColorProfile::new_bt2020(), png::GRAY, &[1][..]),
        };
        let mut profile = profile.encode().unwrap();
        for (at, byte) in changes {
            let at = at.index(profile.len());
            profile[at] = byte;
        }
        let file = Png::new(1, 1, 8, color)
            .chunk(b"iCCP", &png::iccp(&png::stored(&profile)))
            .rows(&[row])
            .file();
        let image = decode(&file, &limits()).unwrap();
        prop_assert_eq!(image.rgb.dimensions(), (1, 1));
    }
}

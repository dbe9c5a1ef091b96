//! Colour profiles.
use crate::craft::{jpeg, jpeg::Marker, png, png::Png};
use moxcms::ColorProfile;
use npedit::pipelines::image::{ImageLimits, ImageWarning, SourceImage, decode};

fn read(file: &[u8]) -> SourceImage {
    decode(file, &ImageLimits::default()).unwrap()
}

fn png_with(profile: &[u8], color: u8, rows: &[u8]) -> Vec<u8> {
    let width = if color == png::RGB {
        rows.len() / 3
    } else {
        rows.len()
    };
    Png::new(width as u32, 1, 8, color)
        .chunk(b"iCCP", &png::iccp(&png::stored(profile)))
        .rows(&[rows])
        .file()
}

#[track_caller]
fn assert_near(found: &[u8], expected: &[u8]) {
    assert_eq!(found.len(), expected.len());
    let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 1);
    assert!(near, "{found:?} is not {expected:?}");
}

#[test]
fn display_p3_becomes_srgb() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    // P3 (128, 100, 50), by hand: to linear light, through XYZ (D65) to linear sRGB, and back.
    let image = read(&png_with(
        &p3,
        png::RGB,
        &[128, 100, 50, 255, 255, 255, 90, 90, 90, 255, 0, 0],
    ));
    assert_near(
        image.rgb.as_raw(),
        &[132, 99, 41, 255, 255, 255, 90, 90, 90, 255, 0, 0],
    );
    assert!(image.warnings.is_empty());
}

#[test]
fn srgb_under_another_name_changes_no_byte() {
    let srgb = ColorProfile::new_srgb().encode().unwrap();
    let row: Vec<u8> = (0..=254).collect();
    let image = read(&png_with(&srgb, png::RGB, &row));
    assert_eq!(image.rgb.as_raw(), &row);
    assert!(image.warnings.is_empty());
}

#[test]
fn sixteen_bits_are_converted_before_they_are_rounded() {
    let mut linear = ColorProfile::new_srgb();
    let curve = Some(moxcms::curve_from_gamma(1.0));
    (linear.red_trc, linear.green_trc, linear.blue_trc) = (curve.clone(), curve.clone(), curve);
    linear.cicp = None;
    let profile = linear.encode().unwrap();
    // 0x0080 / 65535 of full light is sRGB 0.02519, level 6.4; 8 bits would have rounded it to black.
    let file = Png::new(1, 1, 16, png::RGB)
        .chunk(b"iCCP", &png::iccp(&png::stored(&profile)))
        .rows(&[&[0, 0x80, 0, 0x80, 0, 0x80]])
        .file();
    assert_near(read(&file).rgb.as_raw(), &[6, 6, 6]);
}

#[test]
fn gray_profiles_apply_to_gray_only() {
    let gray = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    // linear 128/255 is sRGB 0.7366
    let image = read(&png_with(&gray, png::GRAY, &[0, 128, 255]));
    assert_near(image.rgb.as_raw(), &[0, 0, 0, 188, 188, 188, 255, 255, 255]);
    assert!(image.warnings.is_empty());
    let image = read(&png_with(&gray, png::RGB, &[10, 20, 30]));
    assert_eq!(image.rgb.as_raw(), &[10, 20, 30]);
    assert!(matches!(
        &image.warnings[..],
        [ImageWarning::ProfileIgnored { .. }]
    ));
}

#[test]
fn an_rgb_profile_on_gray_is_applied() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    assert_near(
        read(&png_with(&p3, png::GRAY, &[90])).rgb.as_raw(),
        &[90, 90, 90],
    );
}

#[test]
fn broken_profiles_are_ignored_with_a_warning() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    for profile in [&[][..], b"not a profile", &p3[..100], &p3[..p3.len() / 2]] {
        let image = read(&png_with(profile, png::RGB, &[10, 20, 30]));
        assert_eq!(image.rgb.as_raw(), &[10, 20, 30]);
        assert_eq!(image.warnings.len(), 1, "{} bytes", profile.len());
    }
    // not even a zlib stream
    let file = Png::new(1, 1, 8, png::GRAY)
        .chunk(b"iCCP", b"name\0\0junk")
        .rows(&[&[9]])
        .file();
    let image = read(&file);
    assert_eq!(image.rgb.as_raw(), &[9, 9, 9]);
    assert_eq!(image.warnings.len(), 1);
}

#[test]
fn jpeg_profiles_are_put_together_and_wrong_kinds_ignored() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let (head, tail) = p3.split_at(200);
    let mut file = jpeg::flat((8, 8), &[250, 100, 30], Marker::Adobe { transform: 0 });
    for (number, part) in [(2, tail), (1, head)] {
        let data = [b"ICC_PROFILE\0", &[number, 2][..], part].concat();
        file = jpeg::with_segment(&file, 0xe2, &data);
    }
    let image = read(&file);
    // more saturated in sRGB than in P3
    assert_eq!(image.rgb.get_pixel(0, 0).0[2], 0);
    assert!(image.warnings.is_empty(), "{:?}", image.warnings);

    let cmyk = jpeg::flat((8, 8), &[255, 128, 64, 51], Marker::Adobe { transform: 0 });
    let data = [b"ICC_PROFILE\0\x01\x01", &p3[..]].concat();
    let image = read(&jpeg::with_segment(&cmyk, 0xe2, &data));
    assert_eq!(image.rgb.get_pixel(0, 0).0, [51, 26, 13]);
    assert_eq!(image.warnings.len(), 1);
}

//! Colours to sRGB.
use super::{
    ImageWarning,
    raster::{Profile, Samples},
};
use image::{DynamicImage, ImageBuffer, Pixel, Rgb};
use moxcms::{CmsError, ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};
use rayon::prelude::*;

/// Pixels a task converts at a time.
const CHUNK_PIXELS: usize = 1 << 14;
/// A profile that moves no colour further than this is sRGB under another name.
const SAME_COLOUR: u8 = 1;

/// Converts `samples` from `profile` to sRGB, gray to RGB. Alpha and depth are kept.
///
/// A profile that is damaged, or of another kind than the samples, is ignored with a warning.
pub(super) fn to_srgb(samples: Samples, profile: &Profile) -> (DynamicImage, Option<ImageWarning>) {
    let reason = match profile {
        Profile::None => return (without_profile(samples), None),
        Profile::Unusable { reason } => reason.clone(),
        Profile::Icc(icc) => {
            let profile = ColorProfile::new_from_slice(icc);
            match profile.and_then(|profile| convert(&samples, &profile)) {
                Ok(Converted::Same) => return (without_profile(samples), None),
                Ok(Converted::Image(image)) => return (image, None),
                Err(CmsError::UnsupportedProfileConnection) => {
                    "made for another kind of colours".into()
                }
                Err(error) => error.to_string(),
            }
        }
    };
    let warning = ImageWarning::ProfileIgnored { reason };
    (without_profile(samples), Some(warning))
}

/// Gray and RGB are taken as sRGB; inks as ideal filters, which is what viewers show.
fn without_profile(samples: Samples) -> DynamicImage {
    match samples {
        Samples::Screen(image) => image,
        Samples::Cmyk {
            width,
            height,
            inks,
        } => {
            let pixels = inks.as_chunks::<4>().0;
            let rgb = pixels.iter().flat_map(|[c, m, y, k]| {
                [c, m, y].map(|ink| {
                    let light = u32::from(255 - ink) * u32::from(255 - k);
                    ((light + 127) / 255) as u8
                })
            });
            buffer::<Rgb<u8>>(width, height, rgb.collect()).into()
        }
    }
}

enum Converted {
    /// The profile describes sRGB.
    Same,
    Image(DynamicImage),
}

fn convert(samples: &Samples, profile: &ColorProfile) -> Result<Converted, CmsError> {
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let image = match samples {
        Samples::Cmyk {
            width,
            height,
            inks,
        } if profile.color_space == DataColorSpace::Cmyk => {
            // Four inks travel in the layout of RGBA.
            let (from, to) = (Layout::Rgba, Layout::Rgb);
            let executor = profile.create_transform_8bit(from, &srgb, to, options)?;
            let rgb = run(executor.as_ref(), inks, (from, to))?;
            return Ok(Converted::Image(DynamicImage::ImageRgb8(buffer(
                *width, *height, rgb,
            ))));
        }
        Samples::Cmyk { .. } => return Err(CmsError::UnsupportedProfileConnection),
        Samples::Screen(image) => image,
    };
    let alpha = image.color().has_alpha();
    let to = if alpha { Layout::Rgba } else { Layout::Rgb };
    let from = match profile.color_space {
        DataColorSpace::Rgb if is_srgb(profile, &srgb)? => return Ok(Converted::Same),
        DataColorSpace::Rgb => to,
        DataColorSpace::Gray if image.color().has_color() => {
            return Err(CmsError::UnsupportedProfileConnection);
        }
        DataColorSpace::Gray if alpha => Layout::GrayAlpha,
        DataColorSpace::Gray => Layout::Gray,
        _ => return Err(CmsError::UnsupportedProfileConnection),
    };
    let (width, height) = (image.width(), image.height());
    let sixteen_bits = image.color().bytes_per_pixel() > image.color().channel_count();
    let converted = if sixteen_bits {
        let executor = profile.create_transform_16bit(from, &srgb, to, options)?;
        let out = run(executor.as_ref(), &words(image, from), (from, to))?;
        match to {
            Layout::Rgba => DynamicImage::ImageRgba16(buffer(width, height, out)),
            _ => DynamicImage::ImageRgb16(buffer(width, height, out)),
        }
    } else {
        let executor = profile.create_transform_8bit(from, &srgb, to, options)?;
        let out = run(executor.as_ref(), &bytes(image, from), (from, to))?;
        match to {
            Layout::Rgba => DynamicImage::ImageRgba8(buffer(width, height, out)),
            _ => DynamicImage::ImageRgb8(buffer(width, height, out)),
        }
    };
    Ok(Converted::Image(converted))
}

/// Most photos carry sRGB under one of its many names; their bytes are then left as they are.
fn is_srgb(profile: &ColorProfile, srgb: &ColorProfile) -> Result<bool, CmsError> {
    let rgb = Layout::Rgb;
    let executor = profile.create_transform_8bit(rgb, srgb, rgb, TransformOptions::default())?;
    let levels = || (0..=255u8).step_by(17);
    let probe: Vec<u8> = levels()
        .flat_map(|r| levels().flat_map(move |g| levels().flat_map(move |b| [r, g, b])))
        .collect();
    let moved = run(executor.as_ref(), &probe, (rgb, rgb))?;
    let mut pairs = probe.iter().zip(&moved);
    Ok(pairs.all(|(before, after)| before.abs_diff(*after) <= SAME_COLOUR))
}

fn bytes(image: &DynamicImage, layout: Layout) -> Vec<u8> {
    match layout {
        Layout::Gray => image.to_luma8().into_raw(),
        Layout::GrayAlpha => image.to_luma_alpha8().into_raw(),
        Layout::Rgb => image.to_rgb8().into_raw(),
        _ => image.to_rgba8().into_raw(),
    }
}

fn words(image: &DynamicImage, layout: Layout) -> Vec<u16> {
    match layout {
        Layout::Gray => image.to_luma16().into_raw(),
        Layout::GrayAlpha => image.to_luma_alpha16().into_raw(),
        Layout::Rgb => image.to_rgb16().into_raw(),
        _ => image.to_rgba16().into_raw(),
    }
}

fn run<T: Copy + Default + Send + Sync>(
    executor: &(dyn TransformExecutor<T> + Send + Sync),
    samples: &[T],
    (from, to): (Layout, Layout),
) -> Result<Vec<T>, CmsError> {
    let pixels = samples.len() / from.channels();
    let mut out = vec![T::default(); pixels * to.channels()];
    out.par_chunks_mut(CHUNK_PIXELS * to.channels())
        .zip(samples.par_chunks(CHUNK_PIXELS * from.channels()))
        .try_for_each(|(out, samples)| executor.transform(samples, out))?;
    Ok(out)
}

fn buffer<P: Pixel>(
    width: u32,
    height: u32,
    samples: Vec<P::Subpixel>,
) -> ImageBuffer<P, Vec<P::Subpixel>> {
    ImageBuffer::from_raw(width, height, samples).expect("one pixel in, one pixel out")
}

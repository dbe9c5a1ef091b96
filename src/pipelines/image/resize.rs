//! Lanczos resize with the bytes of Pillow's `Image.resize(size, LANCZOS)` (`libImaging/Resample.c`).
//!
//! The models were trained on pictures resized by Pillow, and the parity files hold its bytes.
//! `fast_image_resize` uses shorter fixed-point weights and differs by a level in some pixels.
use image::RgbImage;
use pulp::Arch;
use rayon::prelude::*;

/// Bits after the point of a weight: 8 are the sample's, 2 are head room for negative lobes.
const PRECISION_BITS: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (PRECISION_BITS - 1);
/// Lobes of the windowed sinc on each side, in source pixels when enlarging.
const SUPPORT: f64 = 3.0;
const CHANNELS: usize = 3;
/// Rows that the horizontal pass takes together.
const BAND_ROWS: usize = 8;

/// Resizes to `size = (width, height)` pixels, each at least 1, byte for byte as Pillow 13 does.
pub fn resize_lanczos(image: &RgbImage, size: (u32, u32)) -> RgbImage {
    let (width, height) = image.dimensions();
    if vertical_first((width, height), size) {
        let tall = resize_rows(image, size.1);
        resize_columns(&tall, size.0)
    } else {
        let wide = resize_columns(image, size.0);
        resize_rows(&wide, size.1)
    }
}

/// The passes do not commute, because each rounds to bytes. Pillow 13 (found by probing it, and held
/// by `tests/golden_image`) resizes the height first where that removes over twice as many rows as
/// the other pass removes columns.
fn vertical_first((width, height): (u32, u32), (to_width, to_height): (u32, u32)) -> bool {
    let rows = i64::from(height) - i64::from(to_height);
    let columns = i64::from(width) - i64::from(to_width);
    rows > 0 && rows > 2 * columns
}

/// The source pixels that one output pixel sees, and how much of each.
struct Window {
    start: usize,
    weights: Vec<i32>,
}

/// `precompute_coeffs` and `normalize_coeffs_8bpc` of Pillow, in the same order of operations.
fn windows(from: u32, to: u32) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    let stretch = scale.max(1.0);
    let support = SUPPORT * stretch;
    let inverse = 1.0 / stretch;
    (0..to)
        .map(|i| {
            let center = (f64::from(i) + 0.5) * scale;
            let start = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(from as usize);
            let raw: Vec<f64> = (start..end)
                .map(|x| lanczos((x as f64 - center + 0.5) * inverse))
                .collect();
            let sum: f64 = raw.iter().fold(0.0, |sum, weight| sum + weight);
            let one = f64::from(1u32 << PRECISION_BITS);
            let weights = raw
                .iter()
                .map(|weight| if sum == 0.0 { *weight } else { weight / sum })
                .map(|weight| (weight * one + 0.5f64.copysign(weight)) as i32)
                .collect();
            Window { start, weights }
        })
        .collect()
}

fn lanczos(x: f64) -> f64 {
    if (-SUPPORT..SUPPORT).contains(&x) {
        sinc(x) * sinc(x / SUPPORT)
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    libm::sin(x) / x
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The horizontal pass: every row to `width` pixels.
fn resize_columns(image: &RgbImage, width: u32) -> RgbImage {
    if image.width() == width {
        return image.clone();
    }
    let windows = windows(image.width(), width);
    let (stride, to_stride) = (image.width() as usize * CHANNELS, width as usize * CHANNELS);
    let mut out = RgbImage::new(width, image.height());
    out.par_chunks_mut(to_stride * BAND_ROWS)
        .zip(image.par_chunks(stride * BAND_ROWS))
        .for_each(|(to, from)| {
            Arch::new().dispatch(
                #[inline(always)]
                || resize_band(from, to, &windows),
            )
        });
    out
}

/// Resizes up to [`BAND_ROWS`] rows side by side, so that a weight meets a full vector of samples.
#[inline(always)]
fn resize_band(from: &[u8], to: &mut [u8], windows: &[Window]) {
    const LANES: usize = BAND_ROWS * CHANNELS;
    let to_stride = windows.len() * CHANNELS;
    let rows = to.len() / to_stride;
    let stride = from.len() / rows;
    let mut columns = vec![[0u8; LANES]; stride / CHANNELS];
    for (row, from) in from.chunks_exact(stride).enumerate() {
        for (column, pixel) in columns.iter_mut().zip(from.as_chunks::<CHANNELS>().0) {
            column[row * CHANNELS..][..CHANNELS].copy_from_slice(pixel);
        }
    }
    for (x, window) in windows.iter().enumerate() {
        let mut sums = [HALF; LANES];
        for (column, weight) in columns[window.start..].iter().zip(&window.weights) {
            for (sum, sample) in sums.iter_mut().zip(column) {
                *sum += i32::from(*sample) * weight;
            }
        }
        let bytes = sums.map(to_byte);
        for (to, pixel) in to
            .chunks_exact_mut(to_stride)
            .zip(bytes.as_chunks::<CHANNELS>().0)
        {
            to[x * CHANNELS..][..CHANNELS].copy_from_slice(pixel);
        }
    }
}

/// The vertical pass: `height` rows.
fn resize_rows(image: &RgbImage, height: u32) -> RgbImage {
    if image.height() == height {
        return image.clone();
    }
    let windows = windows(image.height(), height);
    let stride = image.width() as usize * CHANNELS;
    let mut out = RgbImage::new(image.width(), height);
    out.par_chunks_mut(stride)
        .zip(&windows)
        .for_each(|(to, window)| {
            let rows = &image.as_raw()[window.start * stride..];
            Arch::new().dispatch(
                #[inline(always)]
                || resize_row(rows, to, &window.weights),
            );
        });
    out
}

/// Adds up `rows`, each as long as `to`, by their weights.
#[inline(always)]
fn resize_row(rows: &[u8], to: &mut [u8], weights: &[i32]) {
    let stride = to.len();
    let mut sums = vec![HALF; stride];
    for (row, weight) in rows.chunks_exact(stride).zip(weights) {
        for (sum, sample) in sums.iter_mut().zip(row) {
            *sum += i32::from(*sample) * weight;
        }
    }
    for (byte, sum) in to.iter_mut().zip(sums) {
        *byte = to_byte(sum);
    }
}

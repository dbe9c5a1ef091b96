//! Bicubic resize with antialiasing as two matrix products, so that it has a gradient.
use candle_core::{Device, Result, Tensor};

use crate::nn::{Linear, clamp};

/// Keys' coefficient, which Pillow and PyTorch's antialiased resize share.
const A: f64 = -0.5;
/// Reach of the cubic, in pixels of the coarser side.
const SUPPORT: f64 = 2.0;

/// What happens to the values between the two passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Nothing: the form with a gradient.
    Exact,
    /// Each pass ends in 8 bit, as in the published processors (torchvision's uint8 path: columns, then rows).
    EightBit,
}

impl Rounding {
    fn round(self, x: Tensor) -> Result<Tensor> {
        match self {
            Self::Exact => Ok(x),
            Self::EightBit => (x.detach() * 255.0)?.round()?.clamp(0.0, 255.0)? / 255.0,
        }
    }
}

/// `[.., H, W]` to `[.., height, width]`; an image of that size stays as it is.
pub fn resize(x: &Tensor, (height, width): (usize, usize), rounding: Rounding) -> Result<Tensor> {
    let mut x = x.clone();
    let (from_height, from_width) = (x.dim(x.rank() - 2)?, x.dim(x.rank() - 1)?);
    if from_width != width {
        x = rounding.round(along_rows(&x, from_width, width)?)?;
    }
    if from_height != height {
        let columns = x.transpose(x.rank() - 2, x.rank() - 1)?;
        let resized = along_rows(&columns, from_height, height)?;
        x = rounding.round(resized.transpose(x.rank() - 2, x.rank() - 1)?)?;
    }
    x.contiguous()
}

/// As [`resize`], and what the cubic overshoots is cut to `[0, 1]`.
pub fn resize_in_range(
    x: &Tensor,
    (height, width): (usize, usize),
    rounding: Rounding,
) -> Result<Tensor> {
    if x.dims().ends_with(&[height, width]) {
        return Ok(x.clone());
    }
    clamp(&resize(x, (height, width), rounding)?, 0.0, 1.0)
}

fn along_rows(x: &Tensor, from: usize, to: usize) -> Result<Tensor> {
    let matrix = matrix(from, to, x.device())?.to_dtype(x.dtype())?;
    Linear::new(matrix, None).forward(x)
}

/// Weight of every input pixel in every output pixel, `[to, from]`; each row sums to one.
fn matrix(from: usize, to: usize, device: &Device) -> Result<Tensor> {
    let scale = from as f64 / to as f64;
    let widen = scale.max(1.0);
    let reach = SUPPORT * widen;
    let mut weights = vec![0f32; to * from];
    for (row, weights) in weights.chunks_exact_mut(from).enumerate() {
        let centre = (row as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let last = ((centre + reach + 0.5) as usize).min(from);
        let weight = |pixel: usize| cubic((pixel as f64 + 0.5 - centre) / widen);
        let sum: f64 = (first..last).map(weight).sum();
        for pixel in first..last {
            weights[pixel] = (weight(pixel) / sum) as f32;
        }
    }
    Tensor::from_vec(weights, (to, from), device)
}

/// Keys' cubic (IEEE TASSP 29, 1981, equation 15).
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_pixel_is_a_weighted_mean() {
        for (from, to) in [(7, 3), (3, 7), (1, 5), (5, 1), (512, 448)] {
            let sums = matrix(from, to, &Device::Cpu).unwrap().sum(1).unwrap();
            for sum in sums.to_vec1::<f32>().unwrap() {
                assert!((sum - 1.0).abs() < 1e-5, "{from} to {to}: {sum}");
            }
        }
    }

    #[test]
    fn eight_bit_values_stay_levels() {
        let x = Tensor::arange(0f32, 30.0, &Device::Cpu).unwrap();
        let x = (x.reshape((1, 5, 6)).unwrap() / 29.0).unwrap();
        let y = resize(&x, (3, 9), Rounding::EightBit).unwrap();
        for level in y.flatten_all().unwrap().to_vec1::<f32>().unwrap() {
            assert!(((level * 255.0).round() - level * 255.0).abs() < 1e-3);
        }
        assert_eq!(y.dims(), [1, 3, 9]);
    }
}

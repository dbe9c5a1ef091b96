//! Resizing as two matrix products, so that it has a gradient: bicubic with antialiasing for pictures, bilinear without for
//! feature maps.
use candle_core::{DType, Device, Result, Tensor};

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
    both_ways(x, (height, width), bicubic, |x| rounding.round(x))
}

/// Where the outermost samples of both grids lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corners {
    /// On each other.
    Aligned,
    /// Half a sample inside the edges, which lie on each other.
    Centred,
}

/// `[.., H, W]` to `[.., height, width]` by linear interpolation between neighbours, as PyTorch's `interpolate`: in single
/// precision for the half types.
pub fn resize_bilinear(x: &Tensor, size: (usize, usize), corners: Corners) -> Result<Tensor> {
    let wide = match x.dtype() {
        DType::F16 | DType::BF16 => x.to_dtype(DType::F32)?,
        _ => x.clone(),
    };
    let weights = |from, to| bilinear(from, to, corners);
    both_ways(&wide, size, weights, Ok)?.to_dtype(x.dtype())
}

/// First along the rows, then along the columns, where the length changes.
fn both_ways(
    x: &Tensor,
    (height, width): (usize, usize),
    weights: impl Fn(usize, usize) -> Vec<f32>,
    after: impl Fn(Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let mut x = x.clone();
    let (from_height, from_width) = (x.dim(x.rank() - 2)?, x.dim(x.rank() - 1)?);
    if from_width != width {
        x = after(along_rows(&x, weights(from_width, width), width)?)?;
    }
    if from_height != height {
        let columns = x.transpose(x.rank() - 2, x.rank() - 1)?;
        let resized = along_rows(&columns, weights(from_height, height), height)?;
        x = after(resized.transpose(x.rank() - 2, x.rank() - 1)?)?;
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

/// `weights` `[to, W]`, row by row.
fn along_rows(x: &Tensor, weights: Vec<f32>, to: usize) -> Result<Tensor> {
    let matrix = Tensor::from_vec(weights, (to, x.dim(x.rank() - 1)?), &Device::Cpu)?;
    let matrix = matrix.to_dtype(x.dtype())?.to_device(x.device())?;
    Linear::new(matrix, None).forward(x)
}

/// Weight of every input pixel in every output pixel, `[to, from]`; each row sums to one.
fn bicubic(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f64 / to as f64;
    let widen = scale.max(1.0);
    let reach = SUPPORT * widen;
    let mut weights = vec![0f32; to * from];
    for (row, weights) in weights.chunks_exact_mut(from).enumerate() {
        let centre = (row as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let last = ((centre + reach + 0.5) as usize).min(from);
        let reached = first..last;
        let near = reached
            .clone()
            .map(|pixel| cubic((pixel as f64 + 0.5 - centre) / widen));
        let sum: f64 = near.clone().sum();
        for (weight, value) in weights[reached].iter_mut().zip(near) {
            *weight = (value / sum) as f32;
        }
    }
    weights
}

/// Weight of every input sample in every output sample, `[to, from]`; each row sums to one.
fn bilinear(from: usize, to: usize, corners: Corners) -> Vec<f32> {
    let mut weights = vec![0f32; to * from];
    for (row, weights) in weights.chunks_exact_mut(from).enumerate() {
        let at = match corners {
            Corners::Aligned => (row * (from - 1)) as f64 / (to - 1).max(1) as f64,
            Corners::Centred => ((row as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0),
        };
        let before = (at as usize).min(from - 1);
        let share = (at - before as f64) as f32;
        weights[before] += 1.0 - share;
        weights[(before + 1).min(from - 1)] += share;
    }
    weights
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
        let aligned = |from, to| bilinear(from, to, Corners::Aligned);
        let centred = |from, to| bilinear(from, to, Corners::Centred);
        for (from, to) in [(7, 3), (3, 7), (1, 5), (5, 1), (512, 448)] {
            for weights in [bicubic(from, to), aligned(from, to), centred(from, to)] {
                for row in weights.chunks_exact(from) {
                    let sum: f32 = row.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-5, "{from} to {to}: {sum}");
                }
            }
        }
    }

    /// As `torch.nn.functional.interpolate` gives them.
    #[test]
    fn corners_lie_where_they_should() {
        let line = Tensor::arange(0f32, 5.0, &Device::Cpu).unwrap();
        let line = line.reshape((1, 1, 5)).unwrap();
        let resized = |corners, width| {
            let x = resize_bilinear(&line, (1, width), corners).unwrap();
            x.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(resized(Corners::Aligned, 3), [0.0, 2.0, 4.0]);
        assert_eq!(resized(Corners::Aligned, 1), [0.0]);
        assert_eq!(resized(Corners::Centred, 2), [0.75, 3.25]);
        assert_eq!(resized(Corners::Centred, 10)[..3], [0.0, 0.25, 0.75]);
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

//! Pictures on their way into a vision tower.
use candle_core::{Device, Result, Tensor};

use super::resize::Rounding;

/// A picture to be looked at.
#[derive(Clone, Debug)]
pub struct Picture {
    /// `[3, H, W]`, in `[0, 1]` where it is a picture; what lies outside is cut off.
    pub pixels: Tensor,
    /// How a resize computes.
    pub rounding: Rounding,
}

impl Picture {
    /// Height and width in pixels.
    ///
    /// # Errors
    /// Not three dimensions.
    pub fn size(&self) -> Result<(usize, usize)> {
        let (_, height, width) = self.pixels.dims3()?;
        Ok((height, width))
    }
}

/// How a picture is shown to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shown {
    /// As the only picture of its question.
    Alone,
    /// Beside others.
    Together,
}

/// A picture as a vision tower takes it.
#[derive(Clone, Debug)]
pub struct PixelValues {
    /// The tower's own shape.
    pub values: Tensor,
    /// Height and width of the picture that it was made from.
    pub size: (usize, usize),
    pub shown: Shown,
}

/// Mean and standard deviation of each channel, in units of `[0, 1]`.
#[derive(Clone, Debug)]
pub(super) struct Normalisation {
    pub mean: [f64; 3],
    pub std: [f64; 3],
}

impl Normalisation {
    /// `[.., 3, H, W]` to the same.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_sub(&channels(self.mean, x)?)?
            .broadcast_div(&channels(self.std, x)?)
    }
}

/// One value a channel, `[3, 1, 1]`, in the dtype and on the device of `like`.
pub(super) fn channels(values: [f64; 3], like: &Tensor) -> Result<Tensor> {
    Tensor::new(&values, &Device::Cpu)?
        .reshape((3, 1, 1))?
        .to_dtype(like.dtype())?
        .to_device(like.device())
}

/// Square patches in reading order: `[V, C, S, S]` to `[V, n, C * patch * patch]`; what is left at the edges is dropped.
pub(super) fn patches(x: &Tensor, patch: usize) -> Result<Tensor> {
    let (views, channels, height, width) = x.dims4()?;
    let (rows, columns) = (height / patch, width / patch);
    x.narrow(2, 0, rows * patch)?
        .narrow(3, 0, columns * patch)?
        .contiguous()?
        .reshape(&[views, channels, rows, patch, columns, patch])?
        .permute([0, 2, 4, 1, 3, 5])?
        .contiguous()?
        .reshape((views, rows * columns, channels * patch * patch))
}

//! Two-dimensional convolution.
use candle_core::{Result, Tensor};

use super::graft::graft;

/// Zeros added around an image before a convolution, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padding {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Padding {
    /// The same on all four sides.
    pub fn symmetric(pixels: usize) -> Self {
        Self {
            top: pixels,
            bottom: pixels,
            left: pixels,
            right: pixels,
        }
    }
}

impl From<usize> for Padding {
    fn from(pixels: usize) -> Self {
        Self::symmetric(pixels)
    }
}

/// Square-kernel convolution with bias.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    padding: Padding,
}

impl Conv2d {
    /// `weight` `[O, I, k, k]`, `bias` `[O]`.
    pub fn new(weight: Tensor, bias: Tensor, stride: usize, padding: impl Into<Padding>) -> Self {
        Self {
            weight,
            bias,
            stride,
            padding: padding.into(),
        }
    }

    /// `[B, I, H, W]` to `[B, O, H', W']`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.weight.track_op() || self.bias.track_op() {
            return self.composite(x);
        }
        let layer = self.clone();
        graft(x, self.composite(&x.detach())?, move |x, grad| {
            layer.input_gradient(x, grad)
        })
    }

    fn composite(&self, x: &Tensor) -> Result<Tensor> {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = self.padding;
        let same = [bottom, left, right].iter().all(|side| *side == top);
        let y = if same {
            x.conv2d(&self.weight, top, self.stride, 1, 1)?
        } else {
            x.pad_with_zeros(2, top, bottom)?
                .pad_with_zeros(3, left, right)?
                .conv2d(&self.weight, 0, self.stride, 1, 1)?
        };
        y.broadcast_add(&self.bias.reshape((1, self.bias.elem_count(), 1, 1))?)
    }

    fn input_gradient(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let Padding { top, left, .. } = self.padding;
        let full = grad
            .contiguous()?
            .conv_transpose2d(&self.weight, 0, 0, self.stride, 1)?;
        let (_, _, full_height, full_width) = full.dims4()?;
        // rows and columns of the padded image that no window reached have no gradient
        full.pad_with_zeros(2, 0, (top + height).saturating_sub(full_height))?
            .pad_with_zeros(3, 0, (left + width).saturating_sub(full_width))?
            .narrow(2, top, height)?
            .narrow(3, left, width)?
            .contiguous()
    }
}

//! Two-dimensional convolution.
use candle_core::{DType, Result, Tensor, bail};
use rayon::prelude::*;

use super::{
    GroupNorm, Held,
    graft::graft,
    kernels::{
        by_winograd::{self, add_conv2d},
        conv::{Filter, Seen, conv2d},
        enlarge::enlarge_backward,
        host::{is_host_float, is_host_half},
        matmul::matmul,
        norm::Then,
        spread::{Place, spread_channels},
        sums::channel_sums,
        within::{self, conv_within},
    },
    upsample_nearest_2x,
};

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
        if is_host_half(x) {
            // candle has no bf16 convolution on the host
            let wide = |t: &Tensor| t.to_dtype(DType::F32);
            let layer = Self {
                weight: wide(&self.weight)?,
                bias: wide(&self.bias)?,
                ..self.clone()
            };
            return layer.forward(&wide(x)?)?.to_dtype(x.dtype());
        }
        if self.weight.track_op() || self.bias.track_op() {
            return if is_host_float(x) {
                self.trained(x)
            } else {
                self.composite(x)
            };
        }
        let layer = self.clone();
        if is_host_float(x) {
            let value = conv2d(x, self.filter(), Seen::Plain)?;
            return graft([x], value, move |[x], grad| {
                let (_, _, height, width) = x.dims4()?;
                Ok([Some(layer.host_input_gradient([height, width], grad)?)])
            });
        }
        graft([x], self.composite(&x.detach())?, move |[x], grad| {
            Ok([Some(layer.input_gradient(x, grad)?)])
        })
    }

    /// Weight and bias have gradients too.
    fn trained(&self, x: &Tensor) -> Result<Tensor> {
        let layer = Self {
            weight: self.weight.detach(),
            bias: self.bias.detach(),
            ..self.clone()
        };
        let value = conv2d(&x.detach(), layer.filter(), Seen::Plain)?;
        let x_tracked = x.track_op();
        graft(
            [x, &self.weight, &self.bias],
            value,
            move |[x, _, _], grad| {
                let (_, _, height, width) = x.dims4()?;
                let of_x = match x_tracked {
                    true => Some(layer.host_input_gradient([height, width], grad)?),
                    false => None,
                };
                let of_bias = channel_sums(grad)?;
                Ok([of_x, Some(layer.weight_gradient(x, grad)?), Some(of_bias)])
            },
        )
    }

    /// One matrix product for each place of the window, `d weight [.., ky, kx] = grad x_shifted^T`: on a grid with room for
    /// the margins a shift is another first number, so that nothing is copied for it.
    fn weight_gradient(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let (outputs, inputs, side, _) = self.weight.dims4()?;
        let (_, _, height, width) = x.dims4()?;
        let Padding {
            top,
            bottom,
            left,
            right,
        } = self.padding;
        let grid = [height + top + bottom, width + left + right];
        let place = |first, step| Place { grid, first, step };
        let x = spread_channels(x, place([top, left], 1))?;
        let grad = spread_channels(grad, place([0, 0], self.stride))?;
        let furthest = (side - 1) * (grid[1] + 1);
        let count = x.dim(1)? - furthest;
        let grad = grad.narrow(1, 0, count)?;
        let of_place = |at: usize| {
            let first = at / side * grid[1] + at % side;
            matmul(&grad, &x.narrow(1, first, count)?, None)
        };
        let places = (0..side * side).into_par_iter().map(of_place);
        let places = places.collect::<Result<Vec<_>>>()?;
        Tensor::stack(&places, 2)?.reshape((outputs, inputs, side, side))
    }

    /// The convolution of `norm.forward_silu(x)`, which a host does not store. `[B, I, H, W]` to `[B, O, H', W']`.
    pub fn forward_normal(&self, x: &Tensor, norm: &GroupNorm) -> Result<Tensor> {
        if norm.tracked() || !self.is_fused(x) {
            return self.forward(&norm.forward_silu(x)?);
        }
        let kernel = norm.kernel(Then::Silu);
        let value = conv2d(x, self.filter(), Seen::Normal(kernel, norm.affine()))?;
        let (layer, norm) = (self.clone(), norm.clone());
        graft([x], value, move |[x], grad| {
            Ok([Some(layer.normal_input_gradient(x, &norm, grad)?)])
        })
    }

    /// The gradient of `x` from that of [`Self::forward_normal`]. Host, not part of the graph.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn normal_input_gradient(
        &self,
        x: &Tensor,
        norm: &GroupNorm,
        grad: &Tensor,
    ) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let grad = self.host_input_gradient([height, width], grad)?;
        norm.kernel(Then::Silu).backward(x, norm.affine(), &grad)
    }

    /// The gradient of `x` from that of [`Self::forward`]. Host, not part of the graph.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn plain_input_gradient(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        self.host_input_gradient([height, width], grad)
    }

    /// `x` and [`Self::forward_normal`] of `y`, in the memory of an `x` that no gradient needs.
    ///
    /// `x` `[B, O, H', W']`, `y` `[B, I, H, W]`; answers the shape of `x`.
    pub fn forward_normal_onto(&self, x: Held, y: &Tensor, norm: &GroupNorm) -> Result<Tensor> {
        let fused = self.is_fused(y) && !y.track_op() && !norm.tracked();
        match x {
            Held::Alone(x) if fused && !x.track_op() && by_winograd::suits(self.filter())? => {
                let seen = Seen::Normal(norm.kernel(Then::Silu), norm.affine());
                add_conv2d(&x, y, self.filter(), seen)?;
                Ok(x)
            }
            Held::Alone(x) | Held::Shared(x) => x + self.forward_normal(y, norm)?,
        }
    }

    /// As [`Self::forward`], in the memory of an `x` that no gradient needs, where the answer fits in it.
    pub fn forward_within(&self, x: Held) -> Result<Tensor> {
        match x {
            Held::Alone(x)
                if self.is_fused(&x) && !x.track_op() && within::suits(self.filter())? =>
            {
                conv_within(&x, self.filter())
            }
            Held::Alone(x) | Held::Shared(x) => self.forward(&x),
        }
    }

    /// The convolution of [`upsample_nearest_2x`] of `x`, which a host does not store. `[B, I, H, W]` to `[B, O, H', W']`.
    pub fn forward_enlarged(&self, x: &Tensor) -> Result<Tensor> {
        if !self.is_fused(x) {
            return self.forward(&upsample_nearest_2x(x)?);
        }
        let value = conv2d(x, self.filter(), Seen::Enlarged)?;
        let layer = self.clone();
        graft([x], value, move |[x], grad| {
            let (_, _, height, width) = x.dims4()?;
            let grad = layer.host_input_gradient([2 * height, 2 * width], grad)?;
            Ok([Some(enlarge_backward(&grad)?)])
        })
    }

    /// Whether the host's kernel computes what it sees of `x` on its own.
    pub fn is_fused(&self, x: &Tensor) -> bool {
        is_host_float(x) && !self.weight.track_op() && !self.bias.track_op()
    }

    fn filter(&self) -> Filter<'_> {
        Filter {
            weight: &self.weight,
            bias: &self.bias,
            stride: self.stride,
            padding: self.padding,
        }
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

    /// The gradient of an input of this size: that of the answer spread out by the stride, convolved with the kernel turned
    /// by half a turn.
    fn host_input_gradient(&self, [height, width]: [usize; 2], grad: &Tensor) -> Result<Tensor> {
        let (_, inputs, side, _) = self.weight.dims4()?;
        let spread = spread(grad, self.stride)?;
        let (_, _, rows, columns) = spread.dims4()?;
        let Padding { top, left, .. } = self.padding;
        if top >= side || left >= side {
            bail!(
                "a margin of {top} and {left} pixels leaves windows without an image pixel; use less than {side}"
            )
        }
        let (top, left) = (side - 1 - top, side - 1 - left);
        let padding = Padding {
            top,
            bottom: (height + side - 1).saturating_sub(rows + top),
            left,
            right: (width + side - 1).saturating_sub(columns + left),
        };
        let turned = self.weight.transpose(0, 1)?.contiguous()?.flip(&[2, 3])?;
        let filter = Filter {
            weight: &turned,
            bias: &Tensor::zeros(inputs, grad.dtype(), grad.device())?,
            stride: 1,
            padding,
        };
        conv2d(&spread, filter, Seen::Plain)?
            .narrow(2, 0, height)?
            .narrow(3, 0, width)?
            .contiguous()
    }
}

/// `stride - 1` zeros between neighbouring pixels.
fn spread(x: &Tensor, stride: usize) -> Result<Tensor> {
    if stride == 1 {
        return x.contiguous();
    }
    let (batch, channels, height, width) = x.dims4()?;
    x.reshape((batch, channels, height, 1, width, 1))?
        .pad_with_zeros(3, 0, stride - 1)?
        .pad_with_zeros(5, 0, stride - 1)?
        .reshape((batch, channels, height * stride, width * stride))?
        .narrow(2, 0, (height - 1) * stride + 1)?
        .narrow(3, 0, (width - 1) * stride + 1)?
        .contiguous()
}

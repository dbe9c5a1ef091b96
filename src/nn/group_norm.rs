//! Group normalisation.
use candle_core::{D, DType, Result, Tensor};

use super::{
    activation::silu,
    graft::{frozen, graft},
    kernels::{host::is_host_float, norm::Then, norm_groups::GroupedNorm},
};

/// Normalises groups of channels of `[B, C, H, W]` to mean 0 and variance 1, then scales and shifts each channel.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// `weight` and `bias` `[C]`, C a multiple of `groups`.
    pub fn new(weight: Tensor, bias: Tensor, groups: usize, eps: f64) -> Self {
        Self {
            weight,
            bias,
            groups,
            eps,
        }
    }

    /// `[B, C, H, W]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.followed_by(x, Then::Nothing)
    }

    /// The norm followed by [`silu`](super::silu), in one pass.
    pub fn forward_silu(&self, x: &Tensor) -> Result<Tensor> {
        self.followed_by(x, Then::Silu)
    }

    fn followed_by(&self, x: &Tensor, then: Then) -> Result<Tensor> {
        if self.tracked() {
            return if is_host_float(x) {
                self.trained(x, then)
            } else {
                self.composite(x, then)
            };
        }
        let layer = self.clone();
        if !is_host_float(x) {
            return frozen(x, move |x| layer.composite(x, then));
        }
        let norm = self.kernel(then);
        let value = norm.forward(x, self.affine())?;
        graft([x], value, move |[x], grad| {
            Ok([Some(norm.backward(x, layer.affine(), grad)?)])
        })
    }

    /// The norm and what follows it, as the host's kernels take them.
    pub(super) fn kernel(&self, then: Then) -> GroupedNorm {
        GroupedNorm {
            groups: self.groups,
            eps: self.eps,
            then,
        }
    }

    /// Weight and bias, `[C]` each.
    pub(super) fn affine(&self) -> [&Tensor; 2] {
        [&self.weight, &self.bias]
    }

    /// Whether the norm itself has gradients.
    pub fn tracked(&self) -> bool {
        self.weight.track_op() || self.bias.track_op()
    }

    /// Weight and bias have gradients too.
    fn trained(&self, x: &Tensor, then: Then) -> Result<Tensor> {
        let norm = self.kernel(then);
        let affine = self.affine().map(Tensor::detach);
        let value = norm.forward(&x.detach(), affine.each_ref())?;
        let inputs = [x, &self.weight, &self.bias];
        graft(inputs, value, move |[x, weight, bias], grad| {
            Ok(norm.gradients(x, [weight, bias], grad)?.map(Some))
        })
    }

    fn composite(&self, x: &Tensor, then: Then) -> Result<Tensor> {
        let (batch, channels, height, width) = x.dims4()?;
        let dtype = x.dtype();
        let wide = match dtype {
            DType::F16 | DType::BF16 => DType::F32,
            other => other,
        };
        let grouped = x.to_dtype(wide)?.reshape((
            batch,
            self.groups,
            channels / self.groups * height * width,
        ))?;
        let centred = grouped.broadcast_sub(&grouped.mean_keepdim(D::Minus1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        let y = centred
            .broadcast_div(&deviation)?
            .reshape(x.shape())?
            .to_dtype(dtype)?
            .broadcast_mul(&self.weight.reshape((1, channels, 1, 1))?)?
            .broadcast_add(&self.bias.reshape((1, channels, 1, 1))?)?;
        match then {
            Then::Nothing => Ok(y),
            Then::Silu => silu(&y),
        }
    }
}

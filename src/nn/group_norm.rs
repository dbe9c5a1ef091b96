//! Group normalisation.
use candle_core::{Result, Tensor};

use super::{
    device,
    graft::graft,
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
        if !is_host_float(x) {
            return self.on_device(x, then);
        }
        if self.tracked() {
            return self.trained(x, then);
        }
        let layer = self.clone();
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

    fn on_device(&self, x: &Tensor, then: Then) -> Result<Tensor> {
        let norm = device::norm_groups::GroupNorm {
            groups: self.groups,
            eps: self.eps,
            then,
        };
        let value = norm.value(x, self.affine())?;
        let inputs = [x, &self.weight, &self.bias];
        let trained = self.tracked();
        graft(inputs, value, move |[x, weight, bias], grad| {
            let back = norm.backward(x, [weight, bias], grad)?;
            let of_weight = trained.then(|| back.of_weight()).transpose()?;
            let of_bias = trained.then(|| back.of_bias()).transpose()?;
            Ok([Some(back.of_input()?), of_weight, of_bias])
        })
    }
}

//! Norms of groups of channels, with what follows them.
use candle_core::{D, Result, Tensor};

use super::{gates::sigmoid, wide};
use crate::nn::kernels::norm::Then;

/// How `[B, C, H, W]` is normalised.
#[derive(Clone, Copy, Debug)]
pub(in crate::nn) struct GroupNorm {
    pub groups: usize,
    pub eps: f64,
    pub then: Then,
}

impl GroupNorm {
    /// Groups of size 1, shaped as `x`, and one over what their size was, `[B, groups, 1]`; both wide.
    fn normal(self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let grouped = self.grouped(&wide(x)?)?;
        let centred = grouped.broadcast_sub(&grouped.mean_keepdim(D::Minus1)?)?;
        let size = (centred.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        let normal = centred.broadcast_div(&size)?.reshape(x.shape())?;
        Ok((normal, size.recip()?))
    }

    /// `[B, groups, channels and pixels of a group]`
    fn grouped(self, x: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = x.dims4()?;
        x.reshape((batch, self.groups, channels / self.groups * height * width))
    }

    /// Outside the graph; `weight` and `bias` `[C]`.
    pub(in crate::nn) fn value(self, x: &Tensor, affine: [&Tensor; 2]) -> Result<Tensor> {
        let x = x.detach();
        let (normal, _) = self.normal(&x)?;
        let y = scaled(&normal.to_dtype(x.dtype())?, affine)?;
        match self.then {
            Then::Nothing => Ok(y),
            Then::Silu => y.silu(),
        }
    }

    /// Where `grad` is the gradient of [`Self::value`] of `x` `[B, C, H, W]`.
    pub(in crate::nn) fn backward<'a>(
        self,
        x: &'a Tensor,
        affine: [&Tensor; 2],
        grad: &'a Tensor,
    ) -> Result<Backward<'a>> {
        let (normal, inverse) = self.normal(x)?;
        let affine = [wide(&affine[0].detach())?, wide(&affine[1].detach())?];
        let mut wide_grad = wide(grad)?;
        if self.then == Then::Silu {
            let y = scaled(&normal, affine.each_ref())?;
            let gate = sigmoid(&y)?;
            // silu' = gate (1 + y (1 - gate))
            let slope = (&gate * ((y * gate.affine(-1.0, 1.0)?)? + 1.0)?)?;
            wide_grad = (wide_grad * slope)?;
        }
        let [weight, _] = affine;
        Ok(Backward {
            norm: self,
            x,
            grad,
            weight,
            normal,
            inverse,
            wide_grad,
        })
    }
}

/// On the way back from the gradient of [`GroupNorm::value`].
pub(in crate::nn) struct Backward<'a> {
    norm: GroupNorm,
    x: &'a Tensor,
    grad: &'a Tensor,
    weight: Tensor,
    normal: Tensor,
    inverse: Tensor,
    /// Of what the norm alone gives.
    wide_grad: Tensor,
}

impl Backward<'_> {
    /// `[B, C, H, W]`
    pub(in crate::nn) fn of_input(&self) -> Result<Tensor> {
        let of_normal = self.wide_grad.broadcast_mul(&column(&self.weight)?)?;
        let of_normal = self.norm.grouped(&of_normal)?;
        let normal = self.norm.grouped(&self.normal)?;
        let along = (&of_normal * &normal)?.mean_keepdim(D::Minus1)?;
        (&of_normal - normal.broadcast_mul(&along)?)?
            .broadcast_sub(&of_normal.mean_keepdim(D::Minus1)?)?
            .broadcast_mul(&self.inverse)?
            .reshape(self.x.shape())?
            .to_dtype(self.x.dtype())
    }

    /// `[C]`
    pub(in crate::nn) fn of_weight(&self) -> Result<Tensor> {
        self.summed(&(&self.wide_grad * &self.normal)?)
    }

    /// `[C]`
    pub(in crate::nn) fn of_bias(&self) -> Result<Tensor> {
        self.summed(&self.wide_grad)
    }

    fn summed(&self, x: &Tensor) -> Result<Tensor> {
        x.flatten_from(2)?
            .sum(2)?
            .sum(0)?
            .to_dtype(self.grad.dtype())
    }
}

fn scaled(normal: &Tensor, [weight, bias]: [&Tensor; 2]) -> Result<Tensor> {
    normal
        .broadcast_mul(&column(&weight.detach())?)?
        .broadcast_add(&column(&bias.detach())?)
}

/// `[C]` to `[1, C, 1, 1]`
fn column(x: &Tensor) -> Result<Tensor> {
    x.reshape((1, x.elem_count(), 1, 1))
}

//! Norms of rows: root mean square, and mean and variance.
use candle_core::{D, DType, Result, Tensor};
use candle_nn::ops::rms_norm;

use super::wide;

/// What a row is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::nn) struct RowNorm {
    /// Whether the mean is taken away first.
    pub centred: bool,
    pub eps: f64,
}

/// On the way back from the gradient of [`RowNorm::value`].
pub(in crate::nn) struct Backward<'a> {
    norm: RowNorm,
    x: &'a Tensor,
    grad: &'a Tensor,
    /// Rows of size 1, and one over what their size was; both wide, as is the gradient.
    normal: Tensor,
    inverse: Tensor,
    wide_grad: Tensor,
}

impl RowNorm {
    /// Rows `[.., D]` of size 1, and one over what their size was, `[.., 1]`; both wide.
    fn normal(self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let x = wide(x)?;
        let x = match self.centred {
            true => x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?,
            false => x,
        };
        let size = (x.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        Ok((x.broadcast_div(&size)?, size.recip()?))
    }

    /// `x` `[.., D]` normalised, then times `weight` `[D]` plus `bias` `[D]`, where there are these. Outside the graph.
    #[expect(clippy::disallowed_methods, reason = "the backward is the graft's")]
    pub(in crate::nn) fn value(
        self,
        x: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        if let (false, Some(weight), None) = (self.centred, weight, bias)
            && x.dtype() != DType::F64
        {
            // one kernel of candle's that accumulates in single precision
            let (x, weight) = (x.detach().contiguous()?, weight.detach().contiguous()?);
            return rms_norm(&x, &weight, self.eps as f32);
        }
        let (normal, _) = self.normal(&x.detach())?;
        let mut y = normal.to_dtype(x.dtype())?;
        if let Some(weight) = weight {
            y = y.broadcast_mul(&weight.detach())?;
        }
        if let Some(bias) = bias {
            y = y.broadcast_add(&bias.detach())?;
        }
        Ok(y)
    }

    /// Where `grad` `[.., D]` is the gradient of [`Self::value`] of `x`.
    pub(in crate::nn) fn backward<'a>(
        self,
        x: &'a Tensor,
        grad: &'a Tensor,
    ) -> Result<Backward<'a>> {
        let (normal, inverse) = self.normal(x)?;
        Ok(Backward {
            norm: self,
            x,
            grad,
            normal,
            inverse,
            wide_grad: wide(grad)?,
        })
    }
}

impl Backward<'_> {
    /// `[.., D]`
    pub(in crate::nn) fn of_input(&self, weight: Option<&Tensor>) -> Result<Tensor> {
        let of_normal = match weight {
            Some(weight) => self.wide_grad.broadcast_mul(&wide(&weight.detach())?)?,
            None => self.wide_grad.clone(),
        };
        let along = (&of_normal * &self.normal)?.mean_keepdim(D::Minus1)?;
        let mut input = (&of_normal - self.normal.broadcast_mul(&along)?)?;
        if self.norm.centred {
            input = input.broadcast_sub(&of_normal.mean_keepdim(D::Minus1)?)?;
        }
        input.broadcast_mul(&self.inverse)?.to_dtype(self.x.dtype())
    }

    /// `[D]`
    pub(in crate::nn) fn of_weight(&self) -> Result<Tensor> {
        self.summed(&(&self.wide_grad * &self.normal)?)
    }

    /// `[D]`
    pub(in crate::nn) fn of_bias(&self) -> Result<Tensor> {
        self.summed(&self.wide_grad)
    }

    fn summed(&self, x: &Tensor) -> Result<Tensor> {
        let width = x.dim(D::Minus1)?;
        x.reshape(((), width))?.sum(0)?.to_dtype(self.grad.dtype())
    }
}

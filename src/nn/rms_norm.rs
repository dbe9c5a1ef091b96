//! Root-mean-square normalisation (arXiv 1910.07467).
use candle_core::{D, DType, Result, Tensor};

use super::{
    graft::{frozen, graft},
    kernels::{
        host::is_host_float,
        norm_rows::{Centre, RowNorm},
    },
};

/// `x / sqrt(mean(x^2) + eps) * weight` over the last dimension.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// `weight` `[D]`.
    pub fn new(weight: Tensor, eps: f64) -> Self {
        Self { weight, eps }
    }

    /// `[.., D]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.weight.track_op() {
            return self.composite(x);
        }
        let layer = self.clone();
        if is_host_float(x) {
            let norm = RowNorm {
                centre: Centre::Zero,
                eps: self.eps,
            };
            return graft([x], norm.forward(x, &self.weight)?, move |[x], grad| {
                Ok([Some(norm.backward(x, &layer.weight, grad)?)])
            });
        }
        frozen(x, move |x| layer.composite(x))
    }

    fn composite(&self, x: &Tensor) -> Result<Tensor> {
        let dtype = x.dtype();
        let wide = match dtype {
            DType::F16 | DType::BF16 => x.to_dtype(DType::F32)?,
            _ => x.clone(),
        };
        let size = (wide.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        wide.broadcast_div(&size)?
            .to_dtype(dtype)?
            .broadcast_mul(&self.weight)
    }
}

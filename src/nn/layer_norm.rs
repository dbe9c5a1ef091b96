//! Layer normalisation.
use candle_core::{D, DType, Result, Tensor};

use super::{
    graft::{frozen, graft},
    kernels::{
        host::is_host_float,
        norm_rows::{Centre, Factors, RowNorm},
        sums::column_sums,
    },
};

/// Normalises the last dimension to mean 0 and variance 1, then scales and shifts where it has weights.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Option<Tensor>,
    bias: Option<Tensor>,
    eps: f64,
}

impl LayerNorm {
    /// `weight` and `bias` `[D]`; without them the norm has no affine part.
    pub fn new(weight: Option<Tensor>, bias: Option<Tensor>, eps: f64) -> Self {
        Self { weight, bias, eps }
    }

    /// `[.., D]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if [&self.weight, &self.bias]
            .into_iter()
            .flatten()
            .any(Tensor::track_op)
        {
            return if is_host_float(x) {
                self.trained(x)
            } else {
                self.composite(x)
            };
        }
        if is_host_float(x) {
            return self.host(x);
        }
        let layer = self.clone();
        frozen(x, move |x| layer.composite(x))
    }

    /// Weight and bias have gradients too.
    fn trained(&self, x: &Tensor) -> Result<Tensor> {
        let (Some(weight), Some(bias)) = (&self.weight, &self.bias) else {
            return self.composite(x);
        };
        let norm = self.kernel();
        let factors = Factors::all(&weight.detach())?;
        let value = norm.forward(&x.detach(), &factors)?;
        let value = value.broadcast_add(&bias.detach())?;
        graft([x, weight, bias], value, move |[x, _, _], grad| {
            let rows = grad.contiguous()?.flatten_to(D::Minus2)?;
            Ok([
                Some(norm.backward(x, &factors, grad)?),
                Some(norm.weight_gradient(x, grad)?),
                Some(column_sums(&rows)?),
            ])
        })
    }

    fn kernel(&self) -> RowNorm {
        RowNorm {
            centre: Centre::Mean,
            eps: self.eps,
        }
    }

    fn host(&self, x: &Tensor) -> Result<Tensor> {
        let weight = match &self.weight {
            Some(weight) => weight.clone(),
            None => Tensor::ones(x.dim(D::Minus1)?, x.dtype(), x.device())?,
        };
        let norm = self.kernel();
        let factors = Factors::all(&weight)?;
        let mut value = norm.forward(x, &factors)?;
        if let Some(bias) = &self.bias {
            value = value.broadcast_add(bias)?;
        }
        graft([x], value, move |[x], grad| {
            Ok([Some(norm.backward(x, &factors, grad)?)])
        })
    }

    fn composite(&self, x: &Tensor) -> Result<Tensor> {
        let dtype = x.dtype();
        let wide = match dtype {
            DType::F16 | DType::BF16 => x.to_dtype(DType::F32)?,
            _ => x.clone(),
        };
        let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        let mut y = centred.broadcast_div(&deviation)?.to_dtype(dtype)?;
        if let Some(weight) = &self.weight {
            y = y.broadcast_mul(weight)?;
        }
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        Ok(y)
    }
}

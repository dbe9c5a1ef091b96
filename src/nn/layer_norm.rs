//! Layer normalisation.
use candle_core::{D, Result, Tensor, bail};

use super::{
    device,
    graft::graft,
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
        if !is_host_float(x) {
            return self.on_device(x);
        }
        let affine = [&self.weight, &self.bias];
        if affine.into_iter().flatten().any(Tensor::track_op) {
            return self.trained(x);
        }
        self.host(x)
    }

    /// Weight and bias have gradients too.
    fn trained(&self, x: &Tensor) -> Result<Tensor> {
        let [weight, bias] = self.affine()?;
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

    /// Weight and bias, of which a trained norm has both.
    fn affine(&self) -> Result<[&Tensor; 2]> {
        match (&self.weight, &self.bias) {
            (Some(weight), Some(bias)) => Ok([weight, bias]),
            _ => bail!("a norm is trained with weight and bias, or has neither"),
        }
    }

    fn on_device(&self, x: &Tensor) -> Result<Tensor> {
        let norm = device::norm_rows::RowNorm {
            centred: true,
            eps: self.eps,
        };
        let value = norm.value(x, self.weight.as_ref(), self.bias.as_ref())?;
        if self.weight.is_none() && self.bias.is_none() {
            return graft([x], value, move |[x], grad| {
                Ok([Some(norm.backward(x, grad)?.of_input(None)?)])
            });
        }
        let [weight, bias] = self.affine()?;
        let trained = weight.track_op() || bias.track_op();
        graft([x, weight, bias], value, move |[x, weight, _], grad| {
            let back = norm.backward(x, grad)?;
            let of_weight = trained.then(|| back.of_weight()).transpose()?;
            let of_bias = trained.then(|| back.of_bias()).transpose()?;
            Ok([Some(back.of_input(Some(weight))?), of_weight, of_bias])
        })
    }
}

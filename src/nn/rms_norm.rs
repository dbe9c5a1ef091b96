//! Root-mean-square normalisation (arXiv 1910.07467).
use candle_core::{Result, Tensor, bail};

use super::{
    PerToken, device,
    graft::graft,
    kernels::{
        host::is_host_float,
        norm_rows::{Centre, Factors, RowNorm},
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
        match (self.weight.track_op(), is_host_float(x)) {
            (true, true) => self.trained(x),
            (false, true) => self.host(x, Factors::all(&self.weight)?),
            (_, false) => self.on_device(x),
        }
    }

    /// The norm times `factor`, in one pass. `x` `[B, S, D]`
    pub fn forward_times(&self, x: &Tensor, factor: &PerToken) -> Result<Tensor> {
        if self.weight.track_op() || factor.tracked() || !is_host_float(x) {
            return self.forward(x)? * factor.expand()?;
        }
        let table = factor.values()?.broadcast_mul(&self.weight)?;
        let factors = Factors {
            table: table.flatten(0, 1)?,
            ends: factor.ends(),
        };
        let (batch, tokens, width) = x.dims3()?;
        if table.dims() != [batch, factors.ends.len(), width]
            || factors.ends.last() != Some(&tokens)
        {
            bail!(
                "{:?} takes one factor for each token, not {:?} over runs that end at {:?}",
                x.dims(),
                table.dims(),
                factors.ends
            )
        }
        self.host(x, factors)
    }

    fn kernel(&self) -> RowNorm {
        RowNorm {
            centre: Centre::Zero,
            eps: self.eps,
        }
    }

    /// The weight has a gradient too.
    fn trained(&self, x: &Tensor) -> Result<Tensor> {
        let norm = self.kernel();
        let factors = Factors::all(&self.weight.detach())?;
        let value = norm.forward(&x.detach(), &factors)?;
        graft([x, &self.weight], value, move |[x, _], grad| {
            let of_x = norm.backward(x, &factors, grad)?;
            Ok([Some(of_x), Some(norm.weight_gradient(x, grad)?)])
        })
    }

    fn host(&self, x: &Tensor, factors: Factors) -> Result<Tensor> {
        let norm = self.kernel();
        graft([x], norm.forward(x, &factors)?, move |[x], grad| {
            Ok([Some(norm.backward(x, &factors, grad)?)])
        })
    }

    fn on_device(&self, x: &Tensor) -> Result<Tensor> {
        let norm = device::norm_rows::RowNorm {
            centred: false,
            eps: self.eps,
        };
        let value = norm.value(x, Some(&self.weight), None)?;
        let trained = self.weight.track_op();
        graft([x, &self.weight], value, move |[x, weight], grad| {
            let back = norm.backward(x, grad)?;
            let of_weight = trained.then(|| back.of_weight()).transpose()?;
            Ok([Some(back.of_input(Some(weight))?), of_weight])
        })
    }
}

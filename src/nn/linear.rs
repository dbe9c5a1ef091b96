//! Affine map of the last dimension.
use candle_core::{D, Result, Tensor};

use super::{
    Lora,
    graft::graft,
    kernels::{host::is_host_float, matmul::matmul},
};

/// `x W^T + b`, with an optional low-rank branch.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    lora: Option<Lora>,
}

impl Linear {
    /// `weight` `[out, in]`, `bias` `[out]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight,
            bias,
            lora: None,
        }
    }

    /// The same weights (shared, not copied) with `lora` beside them, in place of any earlier branch.
    pub fn with_lora(&self, lora: Lora) -> Self {
        Self {
            lora: Some(lora),
            ..self.clone()
        }
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (out, input) = self.weight.dims2()?;
        let mut shape = x.dims().to_vec();
        let rows = x.elem_count() / x.dim(D::Minus1)?;
        if let Some(last) = shape.last_mut() {
            *last = out;
        }
        // contiguous: a transposed batch against one weight gives wrong numbers in candle's CPU matmul
        let x = x.contiguous()?.reshape((rows, input))?;
        let mut y = self.base(&x)?;
        if let Some(lora) = &self.lora {
            y = (y + lora.forward(&x)?)?;
        }
        y.reshape(shape)
    }

    fn base(&self, x: &Tensor) -> Result<Tensor> {
        if self.weight.track_op() || self.bias.as_ref().is_some_and(Tensor::track_op) {
            return self.composite(x);
        }
        let weight = self.weight.clone();
        if is_host_float(x) {
            let value = matmul(x, &self.weight, self.bias.as_ref())?;
            return graft([x], value, move |_, grad| {
                Ok([Some(matmul(&grad.contiguous()?, &weight.t()?, None)?)])
            });
        }
        graft([x], self.composite(&x.detach())?, move |_, grad| {
            Ok([Some(grad.contiguous()?.matmul(&weight)?)])
        })
    }

    fn composite(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

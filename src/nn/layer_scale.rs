//! One learned factor a channel.
use candle_core::{Result, Tensor};

use super::{
    graft::graft,
    kernels::{host::is_host_float, sums::column_sums},
};

/// `x * scale` over the last dimension (LayerScale, arXiv 2103.17239).
#[derive(Debug, Clone)]
pub struct LayerScale {
    scale: Tensor,
}

impl LayerScale {
    /// `scale` `[D]`.
    pub fn new(scale: Tensor) -> Self {
        Self { scale }
    }

    /// `[.., D]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.scale.track_op() {
            return self.trained(x);
        }
        let scale = self.scale.clone();
        graft([x], x.detach().broadcast_mul(&scale)?, move |_, grad| {
            Ok([Some(grad.broadcast_mul(&scale)?)])
        })
    }

    /// The scale has a gradient too.
    fn trained(&self, x: &Tensor) -> Result<Tensor> {
        let value = x.detach().broadcast_mul(&self.scale.detach())?;
        graft([x, &self.scale], value, |[x, scale], grad| {
            let of_scale = (grad * x)?;
            let rows = of_scale.elem_count() / scale.elem_count();
            let of_scale = of_scale.reshape((rows, scale.elem_count()))?;
            let of_scale = match is_host_float(&of_scale) {
                true => column_sums(&of_scale)?,
                false => of_scale.sum(0)?,
            };
            Ok([Some(grad.broadcast_mul(scale)?), Some(of_scale)])
        })
    }
}

//! One learned factor a channel.
use candle_core::{Result, Tensor};

use super::graft::graft;

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
            return x.broadcast_mul(&self.scale);
        }
        let scale = self.scale.clone();
        graft([x], x.detach().broadcast_mul(&scale)?, move |_, grad| {
            Ok([Some(grad.broadcast_mul(&scale)?)])
        })
    }
}

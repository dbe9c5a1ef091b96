//! A low-rank branch beside a frozen weight (arXiv 2106.09685).
use candle_core::{Result, Tensor};

/// Adds `scale * b (a x)` to a linear layer.
#[derive(Debug, Clone)]
pub struct Lora {
    /// `[r, in]`
    pub a: Tensor,
    /// `[out, r]`
    pub b: Tensor,
    /// `alpha / r`
    pub scale: f64,
}

impl Lora {
    /// `x` `[N, in]`, contiguous, to `[N, out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let low = x.matmul(&self.a.t()?)?;
        low.matmul(&self.b.t()?)? * self.scale
    }
}

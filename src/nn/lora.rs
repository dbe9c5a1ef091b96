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
    /// `x` `[N, in]`, contiguous, to `[N, out]`, in the precision of `x`: trained branches are wider than half-precision bases.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [a, b] = [&self.a, &self.b].map(|factor| factor.to_dtype(x.dtype()));
        let low = x.matmul(&a?.t()?)?;
        low.matmul(&b?.t()?)? * self.scale
    }
}

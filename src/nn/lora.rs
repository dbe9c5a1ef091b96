//! A low-rank branch beside a frozen weight (arXiv 2106.09685).
use candle_core::{Result, Tensor};

use super::kernels::matmul::{add_matmul, matmul};

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

    /// `scale * a x` of rows `[N, in]` on the host, outside the graph: `[r, N]`, rank first, so that the rows are shared out
    /// between threads.
    pub(super) fn low(&self, x: &Tensor) -> Result<Tensor> {
        matmul(&self.a.detach(), x, None)? * self.scale
    }

    /// Adds `b low` to `sum` `[.., out]`, in its memory.
    pub(super) fn add_value(&self, low: &Tensor, sum: &Tensor) -> Result<()> {
        add_matmul(sum, &low.t()?, &self.b.detach())
    }

    /// Of the gradient `grad` `[N, out]` at rows `x` `[N, in]`, whose [`Self::low`] is `low`: those of `a` and `b`; that of `x`
    /// is added to `of_x` `[.., in]`, in its memory.
    pub(super) fn gradients(
        &self,
        [x, low]: [&Tensor; 2],
        grad: &Tensor,
        of_x: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let (a, b) = (self.a.detach(), self.b.detach());
        let of_low = (matmul(&b.t()?, grad, None)? * self.scale)?;
        add_matmul(of_x, &of_low.t()?, &a.t()?)?;
        Ok((
            matmul(&of_low, &x.t()?, None)?,
            matmul(low, &grad.t()?, None)?.t()?.contiguous()?,
        ))
    }
}

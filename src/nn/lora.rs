//! A low-rank branch beside a frozen weight (arXiv 2106.09685).
use candle_core::{Result, Tensor};

use super::kernels::matmul::matmul;

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

/// What a branch adds to the gradients of a layer.
pub(super) struct BranchGradients {
    /// `[N, in]`
    pub of_x: Tensor,
    /// `[r, in]`
    pub of_a: Tensor,
    /// `[out, r]`
    pub of_b: Tensor,
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

    /// `b low`, `[N, out]`.
    pub(super) fn value(&self, low: &Tensor) -> Result<Tensor> {
        matmul(&low.t()?, &self.b.detach(), None)
    }

    /// Of the gradient `grad` `[N, out]` at rows `x` `[N, in]`, whose [`Self::low`] is `low`.
    pub(super) fn gradients(
        &self,
        [x, low]: [&Tensor; 2],
        grad: &Tensor,
    ) -> Result<BranchGradients> {
        let (a, b) = (self.a.detach(), self.b.detach());
        let of_low = (matmul(&b.t()?, grad, None)? * self.scale)?;
        Ok(BranchGradients {
            of_x: matmul(&of_low.t()?, &a.t()?, None)?,
            of_a: matmul(&of_low, &x.t()?, None)?,
            of_b: matmul(low, &grad.t()?, None)?.t()?.contiguous()?,
        })
    }
}

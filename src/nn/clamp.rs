//! Keeping values in a range.
use candle_core::{Result, Tensor};

use super::graft::graft;

/// `min(max(x, low), high)`. Any shape. The gradient passes where `x` lies strictly inside, as in PyTorch 2.15:
/// candle's own clamp lets half of it pass on the edge, where every pure black or white pixel is.
pub fn clamp(x: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    passing(x, (low, high), move |x| x.gt(low)? * x.lt(high)?)
}

/// As [`clamp`], but the gradient passes on the edge too: for values that the caller may have cut already.
pub fn clamp_closed(x: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    passing(x, (low, high), move |x| x.ge(low)? * x.le(high)?)
}

/// Clamped values whose gradient passes where `inside` is one.
fn passing(
    x: &Tensor,
    (low, high): (f64, f64),
    inside: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    graft([x], x.clamp(low, high)?, move |[x], grad| {
        Ok([Some((grad * inside(x)?.to_dtype(grad.dtype())?)?)])
    })
}

//! Keeping values in a range.
use candle_core::{Result, Tensor};

use super::graft::graft;

/// `min(max(x, low), high)`. Any shape. The gradient passes where `x` lies strictly inside, as in PyTorch 2.15:
/// candle's own clamp lets half of it pass on the edge, where every pure black or white pixel is.
pub fn clamp(x: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    graft([x], x.clamp(low, high)?, move |[x], grad| {
        let inside = (x.gt(low)? * x.lt(high)?)?.to_dtype(grad.dtype())?;
        Ok([Some((grad * inside)?)])
    })
}

/// As [`clamp`], but the gradient passes on the edge too: for values that the caller may have cut already.
pub fn clamp_closed(x: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    graft([x], x.clamp(low, high)?, move |[x], grad| {
        let inside = (x.ge(low)? * x.le(high)?)?.to_dtype(grad.dtype())?;
        Ok([Some((grad * inside)?)])
    })
}

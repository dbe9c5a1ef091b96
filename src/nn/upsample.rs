//! Nearest-neighbour upsampling.
use candle_core::{Result, Tensor};

use super::{
    graft::graft,
    kernels::{
        enlarge::{enlarge, enlarge_backward},
        host::is_host_float,
    },
};

/// Every pixel becomes a 2x2 block: `[B, C, H, W]` to `[B, C, 2H, 2W]`.
///
/// Not candle's own, whose backward overwrites the gradient of its input's other users.
pub fn upsample_nearest_2x(x: &Tensor) -> Result<Tensor> {
    if is_host_float(x) {
        return graft([x], enlarge(x)?, |_, grad| {
            Ok([Some(enlarge_backward(grad)?)])
        });
    }
    let (batch, channels, height, width) = x.dims4()?;
    x.reshape((batch, channels, height, 1, width, 1))?
        .broadcast_as((batch, channels, height, 2, width, 2))?
        .reshape((batch, channels, 2 * height, 2 * width))
}

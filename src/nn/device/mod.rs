//! Layers on devices that our kernels do not run on: candle's operations outside the graph, with the gradient written out.
//!
//! A graph of small operations costs a device several launches for each of them, backward twice as many; what runs here is one
//! node. Half types compute in single precision.
pub(super) mod attention;
pub(super) mod gates;
pub(super) mod norm_groups;
pub(super) mod norm_rows;

use candle_core::{DType, Result, Tensor};

/// In single precision, or wider where it is so already.
fn wide(x: &Tensor) -> Result<Tensor> {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.to_dtype(DType::F32),
        _ => Ok(x.clone()),
    }
}

#[cfg(test)]
mod tests;

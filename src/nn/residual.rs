//! The sum at the end of a residual branch.
use candle_core::{Result, Tensor};

use super::{
    graft::graft,
    kernels::{
        elementwise::{add_in_place, map},
        gates::Sum,
        host::is_host_float,
    },
};

/// `x + y` of one shape.
///
/// # Errors
/// Shapes that differ.
pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if !is_host_float(x) {
        return x + y;
    }
    graft([x, y], map(Sum, [x, y])?, |_, grad| {
        Ok([Some(grad.clone()), Some(grad.clone())])
    })
}

/// Adds `x` to `sum` of the same shape, in its memory. Not part of the graph.
///
/// # Errors
/// Shapes that differ, or another device than the host.
pub fn add_to(sum: &Tensor, x: &Tensor) -> Result<()> {
    add_in_place(sum, x)
}

//! Frozen stretches of a model as one node of the graph each.
//!
//! Candle clears and adds a gradient for every node, on memory that it takes anew; and of a segment that is computed again, it
//! also computes the end, which no gradient reads.
use candle_core::{Result, Tensor};

use super::{Activations, graft::graft};

/// A function of one tensor in which nothing is trained, with a backward of its own. On the host.
pub trait Stretch: Send + Sync + 'static {
    /// What the backward reads besides the input. Cheap to clone.
    type Trace: Clone + Send + Sync + 'static;

    /// Computes as far as the backward reads.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn trace(&self, x: &Tensor) -> Result<Self::Trace>;

    /// What is left to the value.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn finish(&self, x: &Tensor, trace: &Self::Trace) -> Result<Tensor>;

    /// The gradient of `x` from that of the value.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn input_gradient(&self, x: &Tensor, trace: Self::Trace, grad: &Tensor) -> Result<Tensor>;
}

impl Activations {
    /// The value of `stretch`, whose trace is what is kept or computed again.
    pub(crate) fn stretch(&self, x: &Tensor, stretch: impl Stretch) -> Result<Tensor> {
        let plain = x.detach();
        let trace = stretch.trace(&plain)?;
        let value = stretch.finish(&plain, &trace)?;
        let kept = match self {
            Self::Keep => Some(trace),
            Self::Recompute(_) => None,
        };
        graft([x], value, move |[x], grad| {
            let trace = match &kept {
                Some(trace) => trace.clone(),
                None => stretch.trace(x)?,
            };
            Ok([Some(stretch.input_gradient(x, trace, grad)?)])
        })
    }
}

//! Element-wise activations.
use candle_core::{Result, Tensor};

/// `x * sigmoid(x)`. Any shape.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    x.silu()
}

/// GELU in its tanh form: `x/2 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`. Any shape.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.gelu()
}

/// GELU in its exact form: `x/2 * (1 + erf(x / sqrt(2)))`. Any shape.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    x.gelu_erf()
}

/// Hyperbolic tangent. Any shape.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    x.tanh()
}

/// SwiGLU's product `silu(gate) * up`; both of the same shape.
pub fn silu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    silu(gate)? * up
}

//! Element-wise activations.
use candle_core::{Result, Tensor};

use super::{
    device,
    graft::graft,
    kernels::{
        elementwise::map,
        gates::{
            Gelu, GeluBackward, GeluErf, GeluErfBackward, Silu, SiluBackward, SiluMul, SiluMulGate,
        },
        host::is_host_float,
    },
};

/// `x * sigmoid(x)`. Any shape.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    if !is_host_float(x) {
        return x.silu();
    }
    graft([x], map(Silu, [x])?, |[x], grad| {
        Ok([Some(map(SiluBackward, [x, grad])?)])
    })
}

/// GELU in its tanh form: `x/2 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`. Any shape.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if !is_host_float(x) {
        return x.gelu();
    }
    graft([x], map(Gelu, [x])?, |[x], grad| {
        Ok([Some(map(GeluBackward, [x, grad])?)])
    })
}

/// GELU in its exact form: `x/2 * (1 + erf(x / sqrt(2)))`. Any shape.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    if !is_host_float(x) {
        return x.gelu_erf();
    }
    graft([x], map(GeluErf, [x])?, |[x], grad| {
        Ok([Some(map(GeluErfBackward, [x, grad])?)])
    })
}

/// `max(x, 0)`. Any shape. The gradient passes above 0, as in PyTorch; candle's own passes at 0 too.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    graft([x], x.relu()?, |[x], grad| {
        Ok([Some((grad * x.gt(0.0)?.to_dtype(grad.dtype())?)?)])
    })
}

/// Hyperbolic tangent. Any shape.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    x.tanh()
}

/// SwiGLU's product `silu(gate) * up`; both of the same shape.
pub fn silu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !is_host_float(gate) {
        return device::gates::silu_mul(gate, up);
    }
    graft([gate, up], map(SiluMul, [gate, up])?, |[gate, up], grad| {
        let of_gate = map(SiluMulGate, [gate, up, grad])?;
        let of_up = map(SiluMul, [gate, grad])?;
        Ok([Some(of_gate), Some(of_up)])
    })
}

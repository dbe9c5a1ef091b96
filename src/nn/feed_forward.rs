//! Feed-forwards of transformer blocks, one node of the graph each where nothing in them is trained.
//!
//! Candle clears and adds a gradient for each node; inside a feed-forward these are the widest tensors of a block.
use candle_core::{Result, Tensor};

use super::{
    Linear,
    activation::{gelu, gelu_erf, silu_mul},
    graft::graft,
    kernels::{
        elementwise::map,
        gates::{Gelu, GeluBackward, GeluErf, GeluErfBackward, SiluMul, SiluMulGate},
        host::is_host_float,
    },
};

/// Which form of GELU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeluForm {
    /// [`gelu`]
    Tanh,
    /// [`gelu_erf`]
    Erf,
}

impl GeluForm {
    fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Tanh => gelu(x),
            Self::Erf => gelu_erf(x),
        }
    }

    fn value(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Tanh => map(Gelu, [x]),
            Self::Erf => map(GeluErf, [x]),
        }
    }

    fn input_gradient(self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        match self {
            Self::Tanh => map(GeluBackward, [x, grad]),
            Self::Erf => map(GeluErfBackward, [x, grad]),
        }
    }
}

/// `second(gelu(first(x)))`. `[.., inputs]` to `[.., outputs]`
///
/// # Errors
/// Widths that do not fit each other.
pub fn gelu_feed_forward(
    x: &Tensor,
    form: GeluForm,
    [first, second]: [&Linear; 2],
) -> Result<Tensor> {
    if !is_one_node(x, &[first, second]) {
        return second.forward(&form.forward(&first.forward(x)?)?);
    }
    let inner = first.value(&x.detach())?;
    let value = second.value(&form.value(&inner)?)?;
    let (first, second) = (first.clone(), second.clone());
    graft([x], value, move |_, grad| {
        let grad = form.input_gradient(&inner, &second.input_gradient(grad)?)?;
        Ok([Some(first.input_gradient(&grad)?)])
    })
}

/// SwiGLU: `down(silu(gate(x)) * up(x))` (arXiv 2002.05202). `[.., inputs]` to `[.., outputs]`
///
/// # Errors
/// Widths that do not fit each other.
pub fn swiglu(x: &Tensor, [gate, up, down]: [&Linear; 3]) -> Result<Tensor> {
    if !is_one_node(x, &[gate, up, down]) {
        return down.forward(&silu_mul(&gate.forward(x)?, &up.forward(x)?)?);
    }
    let plain = x.detach();
    let (gates, ups) = (gate.value(&plain)?, up.value(&plain)?);
    let value = down.value(&map(SiluMul, [&gates, &ups])?)?;
    let [gate, up, down] = [gate, up, down].map(Linear::clone);
    graft([x], value, move |_, grad| {
        let grad = down.input_gradient(grad)?;
        let of_x = gate.input_gradient(&map(SiluMulGate, [&gates, &ups, &grad])?)?;
        up.add_input_gradient(&map(SiluMul, [&gates, &grad])?, &of_x)?;
        Ok([Some(of_x)])
    })
}

/// Without a gradient to come, the plain composition lets go of its intermediate values earlier.
fn is_one_node(x: &Tensor, layers: &[&Linear]) -> bool {
    x.track_op() && is_host_float(x) && layers.iter().all(|layer| layer.is_frozen())
}

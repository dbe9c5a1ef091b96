//! Affine map of the last dimension.
use candle_core::{D, Result, Tensor};

use super::{
    Lora,
    graft::graft,
    kernels::{
        host::is_host_float,
        matmul::{add_matmul, matmul},
        sums::column_sums,
    },
};

/// `x W^T + b`, with an optional low-rank branch.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    lora: Option<Lora>,
}

impl Linear {
    /// `weight` `[out, in]`, `bias` `[out]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight,
            bias,
            lora: None,
        }
    }

    /// Of the weight, `[out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        let dims = self.weight.dims();
        [dims[0], dims[1]]
    }

    /// The same weights (shared, not copied) with `lora` beside them, in place of any earlier branch.
    pub fn with_lora(&self, lora: Lora) -> Self {
        Self {
            lora: Some(lora),
            ..self.clone()
        }
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Some(lora) = &self.lora else {
            return self.base(x);
        };
        let on_host = is_host_float(x) && lora.a.dtype() == x.dtype();
        if on_host && !self.is_trained() {
            return self.with_branch(x, lora);
        }
        let y = self.base(x)?;
        let beside = lora.forward(&rows(x)?)?;
        &y + beside.reshape(y.shape())?
    }

    /// Whether the input alone can have a gradient.
    pub(super) fn is_frozen(&self) -> bool {
        self.lora.is_none() && !self.is_trained()
    }

    fn is_trained(&self) -> bool {
        self.weight.track_op() || self.bias.as_ref().is_some_and(Tensor::track_op)
    }

    /// Layer and branch as one node of the graph: candle clears and adds a gradient for each.
    fn with_branch(&self, x: &Tensor, lora: &Lora) -> Result<Tensor> {
        let plain = x.detach();
        let low = lora.low(&rows(&plain)?)?;
        let y = self.value(&plain)?;
        lora.add_value(&low, &y)?;
        let layer = self.clone();
        let (branch, inputs) = (lora.clone(), [x, &lora.a, &lora.b]);
        graft(inputs, y, move |[x, _, _], grad| {
            let of_x = layer.input_gradient(grad)?;
            let (of_a, of_b) = branch.gradients([&rows(x)?, &low], &rows(grad)?, &of_x)?;
            Ok([Some(of_x), Some(of_a), Some(of_b)])
        })
    }

    fn base(&self, x: &Tensor) -> Result<Tensor> {
        if self.is_trained() {
            return self.trained(x);
        }
        let layer = self.clone();
        graft([x], self.value(&x.detach())?, move |_, grad| {
            Ok([Some(layer.input_gradient(grad)?)])
        })
    }

    /// Weight and bias have gradients too.
    fn trained(&self, x: &Tensor) -> Result<Tensor> {
        let layer = Self {
            weight: self.weight.detach(),
            bias: self.bias.as_ref().map(Tensor::detach),
            lora: None,
        };
        let value = layer.value(&x.detach())?;
        let x_tracked = x.track_op();
        let of_x = move |grad: &Tensor| match x_tracked {
            true => layer.input_gradient(grad).map(Some),
            false => Ok(None),
        };
        // d weight = grad^T x
        let of_weight = |x: &Tensor, grad: &Tensor| match is_host_float(x) {
            true => matmul(&rows(grad)?.t()?, &rows(x)?.t()?, None),
            false => rows(grad)?.t()?.matmul(&rows(x)?),
        };
        match &self.bias {
            None => graft([x, &self.weight], value, move |[x, _], grad| {
                Ok([of_x(grad)?, Some(of_weight(x, grad)?)])
            }),
            Some(bias) => graft([x, &self.weight, bias], value, move |[x, _, _], grad| {
                let of_bias = match is_host_float(grad) {
                    true => column_sums(&rows(grad)?)?,
                    false => rows(grad)?.sum(0)?,
                };
                Ok([of_x(grad)?, Some(of_weight(x, grad)?), Some(of_bias)])
            }),
        }
    }

    /// The layer without its branch, outside the graph. `[.., in]` to `[.., out]`
    pub(super) fn value(&self, x: &Tensor) -> Result<Tensor> {
        if !is_host_float(x) {
            return self.composite(x);
        }
        let value = matmul(&rows(x)?, &self.weight, self.bias.as_ref())?;
        value.reshape(with_last(x, self.weight.dim(0)?))
    }

    /// The gradient of [`Self::value`]'s input. `[.., out]` to `[.., in]`
    pub(super) fn input_gradient(&self, grad: &Tensor) -> Result<Tensor> {
        let rows = rows(grad)?;
        let gradient = if is_host_float(grad) {
            matmul(&rows, &self.weight.t()?, None)?
        } else {
            rows.matmul(&self.weight)?
        };
        gradient.reshape(with_last(grad, self.weight.dim(1)?))
    }

    /// Adds [`Self::input_gradient`] to `sum` `[.., in]` on the host, in its memory.
    pub(super) fn add_input_gradient(&self, grad: &Tensor, sum: &Tensor) -> Result<()> {
        add_matmul(sum, &rows(grad)?, &self.weight.t()?)
    }

    fn composite(&self, x: &Tensor) -> Result<Tensor> {
        let y = rows(x)?.matmul(&self.weight.t()?)?;
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        y.reshape(with_last(x, self.weight.dim(0)?))
    }
}

/// `[.., D]` as a matrix. Contiguous: a transposed batch against one weight gives wrong numbers in candle's CPU matmul.
fn rows(x: &Tensor) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    x.contiguous()?.reshape((x.elem_count() / width, width))
}

/// The shape of `x` with another last dimension.
fn with_last(x: &Tensor, width: usize) -> Vec<usize> {
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = width;
    }
    shape
}

//! A value computed outside the graph, with a backward of its own choice attached.
//!
//! Candle stores a gradient for every operand of an operation, frozen weights included. Computing the value from
//! detached tensors and grafting it onto its input keeps the frozen operands out of the graph.
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, Var,
    backend::BackendStorage,
};

type Backward = Box<dyn Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync>;

struct Graft {
    value: Tensor,
    backward: Backward,
}

impl CustomOp1 for Graft {
    fn name(&self) -> &'static str {
        "graft"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let (storage, layout) = self.value.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            candle_core::bail!("a grafted value is not on its input's device")
        };
        Ok((storage.try_clone(layout)?, self.value.shape().clone()))
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        let (storage, layout) = self.value.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else {
            candle_core::bail!("a grafted value is not on its input's device")
        };
        Ok((storage.try_clone(layout)?, self.value.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        (self.backward)(&x.detach(), grad).map(Some)
    }
}

/// `value` as a function of `x`; `backward(x, grad of value)` answers the gradient of `x`.
pub(crate) fn graft(
    x: &Tensor,
    value: Tensor,
    backward: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let value = value.detach().contiguous()?;
    if !x.track_op() {
        return Ok(value);
    }
    x.apply_op1(Graft {
        value,
        backward: Box::new(backward),
    })
}

/// `f(x)` where everything that `f` captures is frozen; the backward runs `f` again and keeps the gradient of `x` alone.
pub(crate) fn frozen(
    x: &Tensor,
    f: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let value = f(&x.detach())?;
    graft(x, value, move |x, grad| {
        let x = Var::from_tensor(x)?;
        let grads = (f(x.as_tensor())? * grad)?.sum_all()?.backward()?;
        match grads.get(x.as_tensor()) {
            Some(grad) => Ok(grad.clone()),
            None => x.zeros_like(),
        }
    })
}

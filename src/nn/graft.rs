//! A value computed outside the graph, with a backward of its own choice attached.
//!
//! Candle stores a gradient for every operand of an operation, frozen weights included. Computing the value first and
//! grafting it onto the inputs that matter keeps everything else out of the graph.
use std::sync::Mutex;

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, InplaceOp1, Layout, Result, Shape,
    Tensor,
    backend::{BackendDevice, BackendStorage},
    bail,
};

/// Inputs (detached), value and gradient of the value: to the gradient of each input.
type Backward<const N: usize> =
    Box<dyn Fn(&[Tensor; N], [&Tensor; 2]) -> Result<[Option<Tensor>; N]> + Send + Sync>;

pub(crate) struct Graft<const N: usize> {
    value: Mutex<Option<Tensor>>,
    backward: Backward<N>,
}

/// One to three inputs: as many as candle's custom operations take.
pub(crate) trait Onto<const N: usize> {
    fn onto(self, inputs: [&Tensor; N]) -> Result<Tensor>;
}

impl Onto<1> for Graft<1> {
    fn onto(self, [a]: [&Tensor; 1]) -> Result<Tensor> {
        a.apply_op1(self)
    }
}

impl Onto<2> for Graft<2> {
    fn onto(self, [a, b]: [&Tensor; 2]) -> Result<Tensor> {
        a.apply_op2(b, self)
    }
}

impl Onto<3> for Graft<3> {
    fn onto(self, [a, b, c]: [&Tensor; 3]) -> Result<Tensor> {
        a.apply_op3(b, c, self)
    }
}

/// `value` as a function of `inputs`; inputs that are constants receive no gradient.
///
/// The value is handed over: nothing but an input may go on reading its memory.
pub(crate) fn graft<const N: usize>(
    inputs: [&Tensor; N],
    value: Tensor,
    backward: impl Fn(&[Tensor; N], &Tensor) -> Result<[Option<Tensor>; N]> + Send + Sync + 'static,
) -> Result<Tensor>
where
    Graft<N>: Onto<N>,
{
    graft_with_value(inputs, value, move |inputs, [_, grad]| {
        backward(inputs, grad)
    })
}

/// As [`graft`], for a backward that also reads the value, which comes before its gradient.
pub(crate) fn graft_with_value<const N: usize>(
    inputs: [&Tensor; N],
    value: Tensor,
    backward: impl Fn(&[Tensor; N], [&Tensor; 2]) -> Result<[Option<Tensor>; N]> + Send + Sync + 'static,
) -> Result<Tensor>
where
    Graft<N>: Onto<N>,
{
    let value = value.detach().contiguous()?;
    if !inputs.iter().any(|input| input.track_op()) {
        return Ok(value);
    }
    let value = match inputs.iter().any(|input| share_memory(input, &value)) {
        true => value.copy()?,
        false => value,
    };
    Graft {
        value: Mutex::new(Some(value)),
        backward: Box::new(backward),
    }
    .onto(inputs)
}

fn share_memory(a: &Tensor, b: &Tensor) -> bool {
    let ((a, _), (b, _)) = (a.storage_and_layout(), b.storage_and_layout());
    std::ptr::eq(&*a, &*b)
}

/// Takes the numbers out of a tensor.
struct Taken<S>(Mutex<Option<S>>);

impl<S> Taken<S> {
    fn nothing() -> Self {
        Self(Mutex::new(None))
    }
}

impl InplaceOp1 for Taken<CpuStorage> {
    fn name(&self) -> &'static str {
        "take"
    }

    fn cpu_fwd(&self, numbers: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let held = match numbers {
            CpuStorage::F32(values) => values.len(),
            CpuStorage::F64(values) => values.len(),
            _ => usize::MAX,
        };
        let taken = if held == layout.shape().elem_count() {
            std::mem::replace(numbers, CpuStorage::F32(Vec::new()))
        } else {
            numbers.try_clone(layout)?
        };
        if let Ok(mut place) = self.0.lock() {
            *place = Some(taken);
        }
        Ok(())
    }
}

impl InplaceOp1 for Taken<CudaStorage> {
    fn name(&self) -> &'static str {
        "take"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        bail!("a grafted value lies on its input's device")
    }

    fn cuda_fwd(&self, numbers: &mut CudaStorage, _: &Layout) -> Result<()> {
        let nothing = numbers
            .device()
            .zeros_impl(&Shape::from(1), numbers.dtype())?;
        let taken = std::mem::replace(numbers, nothing);
        if let Ok(mut place) = self.0.lock() {
            *place = Some(taken);
        }
        Ok(())
    }
}

impl<const N: usize> Graft<N> {
    /// Runs once, from the `apply_op` that the value was made for.
    fn take(&self) -> Result<Tensor> {
        let taken = self.value.lock().map(|mut value| value.take());
        match taken {
            Ok(Some(value)) => Ok(value),
            _ => bail!("a grafted value is used once"),
        }
    }

    fn host(&self) -> Result<(CpuStorage, Shape)> {
        let value = self.take()?;
        let taken = Taken::<CpuStorage>::nothing();
        value.inplace_op1(&taken)?;
        match taken.0.into_inner() {
            Ok(Some(numbers)) => Ok((numbers, value.shape().clone())),
            _ => bail!("a grafted value lies on its input's device"),
        }
    }

    fn cuda(&self) -> Result<(CudaStorage, Shape)> {
        let value = self.take()?;
        // the shape alone comes along, no offset
        let value = match value.layout().start_offset() {
            0 => value,
            _ => value.force_contiguous()?,
        };
        let taken = Taken::<CudaStorage>::nothing();
        value.inplace_op1(&taken)?;
        match taken.0.into_inner() {
            Ok(Some(numbers)) => Ok((numbers, value.shape().clone())),
            _ => bail!("a grafted value lies on its input's device"),
        }
    }

    fn gradients(
        &self,
        inputs: [&Tensor; N],
        value_and_grad: [&Tensor; 2],
    ) -> Result<[Option<Tensor>; N]> {
        let tracked = inputs.map(Tensor::track_op);
        let mut grads = (self.backward)(&inputs.map(Tensor::detach), value_and_grad)?;
        for (grad, tracked) in grads.iter_mut().zip(tracked) {
            if !tracked {
                *grad = None;
            }
        }
        Ok(grads)
    }
}

impl CustomOp1 for Graft<1> {
    fn name(&self) -> &'static str {
        "graft"
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.host()
    }
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }
    fn bwd(&self, a: &Tensor, value: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let [a] = self.gradients([a], [value, grad])?;
        Ok(a)
    }
}

impl CustomOp2 for Graft<2> {
    fn name(&self) -> &'static str {
        "graft"
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.host()
    }
    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }
    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        value: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [a, b] = self.gradients([a, b], [value, grad])?;
        Ok((a, b))
    }
}

impl CustomOp3 for Graft<3> {
    fn name(&self) -> &'static str {
        "graft"
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.host()
    }
    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }
    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        value: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [a, b, c] = self.gradients([a, b, c], [value, grad])?;
        Ok((a, b, c))
    }
}

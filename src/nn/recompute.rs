//! Activation recomputation (arXiv 1604.06174): a segment keeps its inputs alone and runs again in the backward pass.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use candle_core::{Result, Tensor, TensorId, Var, backprop::GradStore, bail};

use super::graft::{Graft, Onto, graft};

/// What becomes of a segment's activations between forward and backward. Either way the gradients are the same bits.
#[derive(Clone, Debug, Default)]
pub enum Activations {
    /// They stay in memory.
    #[default]
    Keep,
    /// They are dropped and computed again; the gradients of parameters inside the segment are collected apart.
    Recompute(Collected),
}

/// Gradients of the parameters inside recomputed segments, by parameter. Clones share one table.
#[derive(Clone, Debug, Default)]
pub struct Collected(Arc<Mutex<HashMap<TensorId, Option<Tensor>>>>);

impl Collected {
    /// An empty table for `parameters`; a segment's other variables receive nothing.
    pub fn of<'a>(parameters: impl IntoIterator<Item = &'a Var>) -> Self {
        let table = parameters.into_iter().map(|var| (var.id(), None));
        Self(Arc::new(Mutex::new(table.collect())))
    }

    /// Takes out the gradient that the last backward pass left for `parameter`.
    pub fn take(&self, parameter: &Var) -> Option<Tensor> {
        let mut table = self.0.lock().ok()?;
        table.get_mut(&parameter.id())?.take()
    }

    /// Adds what `grads` holds for the table's parameters to what earlier segments left.
    fn add(&self, grads: &mut GradStore) -> Result<()> {
        let Ok(mut table) = self.0.lock() else {
            bail!("a backward pass panicked; start the step again")
        };
        let ids: Vec<_> = grads.get_ids().copied().collect();
        for id in ids {
            let (Some(sum), Some(grad)) = (table.get_mut(&id), grads.get_id(id)) else {
                continue;
            };
            *sum = Some(match sum.take() {
                Some(earlier) => (earlier + grad)?,
                None => grad.clone(),
            });
        }
        Ok(())
    }
}

impl Activations {
    /// `f(inputs)`, differentiable in the inputs and in the parameters that `f` holds. `f` must be a function: it runs twice.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn segment<const N: usize>(
        &self,
        inputs: [&Tensor; N],
        f: impl Fn([&Tensor; N]) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Tensor>
    where
        Graft<N>: Onto<N>,
    {
        let Self::Recompute(collected) = self else {
            return f(inputs);
        };
        let apart = inputs.map(Tensor::detach);
        let value = f(apart.each_ref())?;
        let tracked = inputs.map(Tensor::track_op);
        let inside = value.track_op();
        let value = value.detach();
        let again = {
            let collected = collected.clone();
            move |inputs: &[Tensor; N], grad: &Tensor| {
                let leaves = leaves(inputs, tracked)?;
                let y = f(leaves.each_ref())?;
                let mut grads = seeded(&y, grad)?.backward()?;
                collected.add(&mut grads)?;
                Ok(leaves.map(|leaf| grads.remove(&leaf)))
            }
        };
        if inside && !tracked.contains(&true) {
            // parameters alone are tracked: a leaf lets the outer backward reach the segment
            let root = Var::from_tensor(&apart[0])?;
            let mut inputs = inputs;
            inputs[0] = root.as_tensor();
            return graft(inputs, value, again);
        }
        graft(inputs, value, again)
    }
}

/// Fresh variables for the inputs that a gradient is wanted of.
fn leaves<const N: usize>(inputs: &[Tensor; N], tracked: [bool; N]) -> Result<[Tensor; N]> {
    let mut leaves = inputs.clone();
    for (leaf, tracked) in leaves.iter_mut().zip(tracked) {
        if tracked {
            *leaf = Var::from_tensor(leaf)?.as_tensor().clone();
        }
    }
    Ok(leaves)
}

/// A scalar whose gradient by `y` is `grad`.
fn seeded(y: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let grad = grad.clone();
    let scalar = Tensor::zeros((), y.dtype(), y.device())?;
    graft([y], scalar, move |_, _| Ok([Some(grad.clone())]))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn waves(rows: usize, columns: usize, seed: f32) -> Tensor {
        let values = (0..rows * columns).map(|at| ((at + 1) as f32 * seed).sin());
        let flat = Tensor::from_iter(values, &Device::Cpu).unwrap();
        flat.reshape((rows, columns)).unwrap()
    }

    fn bits(tensor: &Tensor) -> Vec<u32> {
        let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    }

    /// Two steps through the same two layers, from a constant.
    fn run(activations: &Activations, weights: &[Var; 2], x: &Tensor) -> Tensor {
        let mut x = x.clone();
        for _ in 0..2 {
            for weight in weights {
                let weight = weight.as_tensor().clone();
                let layer = move |[x]: [&Tensor; 1]| x + x.matmul(&weight)?.tanh()?;
                x = activations.segment([&x], layer).unwrap();
            }
        }
        x.sqr().unwrap().sum_all().unwrap()
    }

    #[test]
    fn the_gradients_are_those_of_the_plain_backward_to_the_bit() {
        let weights = [0.3, 0.7].map(|seed| Var::from_tensor(&waves(4, 4, seed)).unwrap());
        for x in [
            waves(3, 4, 0.9),
            Var::from_tensor(&waves(3, 4, 0.9)).unwrap().into_inner(),
        ] {
            let plain = run(&Activations::Keep, &weights, &x);
            let plain_grads = plain.backward().unwrap();
            let collected = Collected::of(&weights);
            let again = run(&Activations::Recompute(collected.clone()), &weights, &x);
            let grads = again.backward().unwrap();
            assert_eq!(bits(&plain), bits(&again));
            for weight in &weights {
                let grad = collected.take(weight).unwrap();
                assert_eq!(bits(plain_grads.get(weight).unwrap()), bits(&grad));
                assert!(collected.take(weight).is_none() && grads.get(weight).is_none());
            }
            if x.is_variable() {
                assert_eq!(
                    bits(plain_grads.get(&x).unwrap()),
                    bits(grads.get(&x).unwrap())
                );
            }
        }
    }

    #[test]
    fn constants_record_nothing() {
        let activations = Activations::Recompute(Collected::default());
        let double = |[x]: [&Tensor; 1]| x * 2.0;
        let y = activations.segment([&waves(2, 2, 0.1)], double).unwrap();
        assert!(!y.track_op());
    }
}

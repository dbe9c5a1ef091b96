//! Gradients of whole models against central differences, for tests.
use candle_core::{DType, Device, Result, Tensor, Var};

use super::{random, weights::Weights};
use crate::nn::Compute;

/// Double precision on the host.
pub(super) fn double() -> Compute {
    Compute {
        device: Device::Cpu,
        dtype: DType::F64,
    }
}

/// Random weights for whatever a model asks for.
pub(super) fn random_weights(seed: u64) -> Weights {
    Weights::drawn("random", move |name, shape| random::draw(seed, name, shape))
}

/// A fixed random tensor of unit spread, in double precision.
pub(super) fn random_tensor(name: &str, shape: &[usize]) -> Tensor {
    // drawn as an embedding: mean 0, spread 0.5
    let tensor = random::draw(
        1,
        &format!("{name}.embed_tokens"),
        &[shape.iter().product::<usize>(), 1],
    );
    let tensor = tensor
        .and_then(|t| t.to_dtype(DType::F64))
        .and_then(|t| t.affine(2.0, 0.0));
    tensor.and_then(|t| t.reshape(shape)).unwrap()
}

/// Checks the gradient of `f` by each input, along three directions, and in every coordinate's place at once:
/// a missing term shows in all of them.
///
/// # Panics
/// A gradient is missing or off by more than a millionth.
pub(super) fn check(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    const STEP: f64 = 1e-5;
    const TOLERANCE: f64 = 1e-6;
    let vars: Vec<Var> = inputs
        .iter()
        .map(|input| Var::from_tensor(input).unwrap())
        .collect();
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let output = f(&tracked).unwrap();
    let weights = random_tensor("weights", output.dims());
    let grads = (output * &weights)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    let loss = |inputs: &[Tensor]| dot(&f(inputs).unwrap(), &weights);
    for (index, var) in vars.iter().enumerate() {
        let grad = grads
            .get(var)
            .unwrap_or_else(|| panic!("input {index} has no gradient"));
        for direction in 0..3 {
            let direction = random_tensor(&format!("direction{direction}"), var.dims());
            let moved = |step: f64| {
                let mut inputs = inputs.to_vec();
                inputs[index] = (&inputs[index] + (&direction * step).unwrap()).unwrap();
                loss(&inputs)
            };
            let numeric = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let analytic = dot(grad, &direction);
            // against the size that the slope would have along the gradient itself
            let scale = (dot(grad, grad) * dot(&direction, &direction)).sqrt();
            assert!(scale > 0.0, "the gradient by input {index} is zero");
            let error = (numeric - analytic).abs() / scale;
            assert!(
                error < TOLERANCE,
                "input {index}: {numeric} by differences, {analytic} by gradient"
            );
        }
    }
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).unwrap().sum_all().unwrap().to_scalar().unwrap()
}

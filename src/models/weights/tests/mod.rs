//! Checkpoints that are as they should be, and those that are not.
mod hash;
mod safetensors;
mod torch;

use candle_core::Tensor;

use super::*;

/// Takes one tensor in single precision.
fn take(weights: &Weights, name: &str, shape: &[usize]) -> LoadResult<Tensor> {
    weights.scope("", &Compute::cpu()).tensor(name, shape)
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_tensor_is_taken_once() {
    let one = Tensor::ones(2, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    let weights = Weights::tensors("memory", [("a".into(), one)]);
    assert!(take(&weights, "a", &[2]).is_ok());
    let again = take(&weights, "a", &[2]).unwrap_err();
    assert!(matches!(again, LoadError::MissingTensor { .. }), "{again}");
    weights.finish().unwrap();
}

#[test]
fn a_variable_stays_one() {
    let var =
        candle_core::Var::zeros(2, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    let weights = Weights::tensors("memory", [("a".into(), var.as_tensor().clone())]);
    let taken = take(&weights, "a", &[2]).unwrap();
    let grads = taken.sum_all().unwrap().backward().unwrap();
    assert_eq!(values(grads.get(&var).unwrap()), [1.0, 1.0]);
}

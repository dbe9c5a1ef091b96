//! Weights are a hash of their place, so that no file of 59 MB is needed to compare with the Python packages.
use std::fs;

use candle_core::{DType, Device, Var};

use super::*;
use crate::models::finite_differences::{check, random_tensor};

/// Written by `benches/peer/lpips_golden.py`.
const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/golden_lpips/lpips.safetensors"
);

/// A whole number to one that looks random, in [0, 1).
fn hashed(number: u32) -> f64 {
    let mut x = number;
    for _ in 0..2 {
        x = (x ^ (x >> 16)).wrapping_mul(0x045d_9f3b);
    }
    f64::from(x ^ (x >> 16)) / f64::from(1u32 << 16) / f64::from(1u32 << 16)
}

/// Small weights that keep the size of what goes through; the heads are above 0, as published.
fn drawn(name: &str, shape: &[usize]) -> Result<Tensor> {
    let start = name.bytes().fold(0u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let fan_in: usize = shape[1..].iter().product();
    let (scale, shift) = match name.starts_with("lin") {
        true => (1.0, 0.0),
        false => ((24.0 / fan_in.max(1) as f64).sqrt(), -0.5),
    };
    let count: usize = shape.iter().product();
    let values =
        (0..count as u32).map(|at| (scale * (hashed(start.wrapping_add(at)) + shift)) as f32);
    Tensor::from_vec(values.collect::<Vec<f32>>(), shape, &Device::Cpu)
}

fn lpips(dtype: DType) -> Lpips {
    let compute = Compute {
        device: Device::Cpu,
        dtype,
    };
    let weights = Weights::drawn("hashes", move |name, shape| {
        drawn(name, shape)?.to_dtype(dtype)
    });
    Lpips::from_weights(weights, String::new(), &compute).unwrap()
}

#[test]
fn distance_and_gradient_are_those_of_the_python_package() {
    let golden = candle_core::safetensors::load_buffer(&fs::read(GOLDEN).unwrap(), &Device::Cpu);
    let golden = golden.unwrap();
    let a = Var::from_tensor(&golden["a"]).unwrap();
    let distances = lpips(DType::F32).distances(&a, &golden["b"]).unwrap();
    let values = |tensor: &Tensor| {
        let flat = tensor.flatten_all().unwrap();
        flat.to_vec1::<f32>().unwrap()
    };
    for (found, expected) in values(&distances).iter().zip(values(&golden["distances"])) {
        assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
    }
    let grads = distances.sum_all().unwrap().backward().unwrap();
    let (found, expected) = (values(grads.get(&a).unwrap()), values(&golden["gradient"]));
    let largest = expected
        .iter()
        .fold(0f32, |most, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() < 1e-4 * largest,
            "{found} {expected}"
        );
    }
}

#[test]
fn recomputed_or_kept_the_gradient_is_the_same() {
    let [a, b] = ["a", "b"].map(|name| {
        let picture = random_tensor(name, &[1, 3, 17, 16]);
        picture.to_dtype(DType::F32).unwrap()
    });
    let gradient = |lpips: Lpips| {
        let a = Var::from_tensor(&a).unwrap();
        let distances = lpips.distances(&a, &b).unwrap();
        let grads = distances.sum_all().unwrap().backward().unwrap();
        let grad = grads.get(&a).unwrap().flatten_all().unwrap();
        grad.to_vec1::<f32>().unwrap()
    };
    let kept = lpips(DType::F32);
    let recomputed = kept
        .clone()
        .with_activations(Activations::Recompute(crate::nn::Collected::default()));
    assert_eq!(gradient(kept.clone()), gradient(recomputed));
    let same = kept.distances(&a, &a).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(same, [0.0]);
}

#[test]
fn the_gradient_is_the_one_that_differences_show() {
    let [a, b] = ["a", "b"].map(|name| random_tensor(name, &[1, 3, 16, 16]));
    let lpips = lpips(DType::F64);
    check(&[a], |inputs| lpips.distances(&inputs[0], &b));
}

#[test]
fn a_file_of_something_else_is_refused() {
    let compute = Compute {
        device: Device::Cpu,
        dtype: DType::F32,
    };
    let wrong = Weights::tensors("x.safetensors", [("a".into(), drawn("a", &[1]).unwrap())]);
    let error = Lpips::from_weights(wrong, String::new(), &compute).unwrap_err();
    assert!(error.to_string().contains("features.0.weight"), "{error}");
}

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};

use super::*;
use crate::{
    models::{
        error::LoadError,
        finite_differences::{check, double, random_tensor, random_weights},
        weights::Weights,
    },
    nn::{Compute, Lora},
};

fn config() -> Config {
    serde_json::from_value(config::tests::toy()).unwrap()
}

fn transformer(compute: &Compute) -> Transformer {
    Transformer::load(&config(), random_weights(3), compute).unwrap()
}

/// Two items with pads in image and caption.
struct Inputs {
    latents: Tensor,
    reference: Tensor,
    sigma: Tensor,
    features: Tensor,
}

impl Inputs {
    fn new() -> Self {
        Self {
            latents: random_tensor("latents", &[2, 4, 4, 6]),
            reference: random_tensor("reference", &[2, 4, 4, 6]),
            sigma: Tensor::new(&[0.9f64, 0.3], &candle_core::Device::Cpu).unwrap(),
            features: random_tensor("features", &[2, 32, 12]),
        }
    }

    fn captions(&self, features: &Tensor) -> Captions {
        Captions {
            features: features.clone(),
            lengths: vec![7, 32],
        }
    }

    fn as_type(&self, dtype: DType) -> Self {
        let cast = |tensor: &Tensor| tensor.to_dtype(dtype).unwrap();
        Self {
            latents: cast(&self.latents),
            reference: cast(&self.reference),
            sigma: cast(&self.sigma),
            features: cast(&self.features),
        }
    }

    fn velocity(&self, transformer: &Transformer) -> Tensor {
        let captions = self.captions(&self.features);
        transformer
            .velocity_with_reference(&self.latents, &self.reference, &self.sigma, &captions)
            .unwrap()
    }
}

#[test]
fn gradients_reach_latents_reference_and_captions() {
    let inputs = Inputs::new();
    for padding in [PaddingAttention::Attend, PaddingAttention::Mask] {
        let transformer = transformer(&double()).with_padding(padding);
        check(
            &[
                inputs.latents.clone(),
                inputs.reference.clone(),
                inputs.features.clone(),
            ],
            |x| {
                transformer.velocity_with_reference(
                    &x[0],
                    &x[1],
                    &inputs.sigma,
                    &inputs.captions(&x[2]),
                )
            },
        );
        check(&[inputs.latents.clone(), inputs.features.clone()], |x| {
            transformer.velocity(&x[0], &inputs.sigma, &inputs.captions(&x[1]))
        });
    }
}

/// A branch of rank 2 on a linear map `[outputs, inputs]`.
fn lora(pair: &[Tensor]) -> Lora {
    Lora {
        a: pair[0].clone(),
        b: pair[1].clone(),
        scale: 0.5,
    }
}

#[test]
fn gradients_reach_low_rank_branches() {
    let inputs = Inputs::new();
    let base = transformer(&double());
    let modules = [
        ("noise_refiner.0.attention.to_q", 16, 16),
        ("context_refiner.0.feed_forward.w2", 42, 16),
        ("layers.1.adaLN_modulation.0", 16, 64),
    ];
    let pairs: Vec<Tensor> = modules
        .iter()
        .flat_map(|(name, input, output)| {
            [
                random_tensor(&format!("{name}.a"), &[2, *input]),
                random_tensor(&format!("{name}.b"), &[*output, 2]),
            ]
        })
        .collect();
    check(&pairs, |x| {
        let branches = modules
            .iter()
            .zip(x.chunks(2))
            .map(|((name, ..), pair)| (name.to_string(), lora(pair)));
        let adapted = base
            .with_lora(&LoraWeights::new(branches.collect()))
            .unwrap();
        adapted.velocity_with_reference(
            &inputs.latents,
            &inputs.reference,
            &inputs.sigma,
            &inputs.captions(&inputs.features),
        )
    });
}

#[test]
fn a_branch_of_zeros_changes_no_bit() {
    let inputs = Inputs::new();
    let base = transformer(&double());
    let pair = [
        random_tensor("a", &[2, 16]),
        random_tensor("b", &[16, 2]).zeros_like().unwrap(),
    ];
    let branches = BTreeMap::from([("layers.0.attention.to_v".to_string(), lora(&pair))]);
    let adapted = base.with_lora(&LoraWeights::new(branches)).unwrap();
    let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(
        flat(inputs.velocity(&base)),
        flat(inputs.velocity(&adapted))
    );
}

#[test]
fn a_branch_without_a_module_is_an_error() {
    let pair = [random_tensor("a", &[2, 16]), random_tensor("b", &[16, 2])];
    let branches = BTreeMap::from([("layers.9.attention.to_v".to_string(), lora(&pair))]);
    let error = transformer(&double())
        .with_lora(&LoraWeights::new(branches))
        .unwrap_err();
    assert!(
        matches!(&error, LoadError::UnknownModule { module } if module == "layers.9.attention.to_v"),
        "{error}"
    );
}

#[test]
fn a_branch_of_another_shape_is_an_error() {
    let base = transformer(&double());
    let shape = base.linear_shapes()["layers.0.feed_forward.w1"];
    for [a, b] in [
        [[2, shape[1] + 1], [shape[0], 2]],
        [[2, shape[1]], [shape[0] - 1, 2]],
        [[2, shape[1]], [shape[0], 3]],
    ] {
        let pair = [random_tensor("a", &a), random_tensor("b", &b)];
        let branches = BTreeMap::from([("layers.0.feed_forward.w1".to_string(), lora(&pair))]);
        let error = base.with_lora(&LoraWeights::new(branches)).unwrap_err();
        assert!(
            matches!(&error, LoadError::BranchShape { weight, .. } if *weight == shape),
            "{error}"
        );
    }
}

#[test]
fn every_linear_layer_of_the_blocks_takes_a_branch() {
    let inputs = Inputs::new();
    let base = transformer(&double());
    let shapes = base.linear_shapes();
    assert_eq!(shapes.len(), 2 * 8 + 8 + 7);
    let plain = inputs.velocity(&base);
    for (module, [output, input]) in shapes {
        let pair = [
            random_tensor("a", &[2, input]),
            random_tensor("b", &[output, 2]),
        ];
        let branches = BTreeMap::from([(module.clone(), lora(&pair))]);
        let adapted = base.with_lora(&LoraWeights::new(branches)).unwrap();
        let moved = (inputs.velocity(&adapted) - &plain).unwrap();
        let moved = moved.abs().unwrap().sum_all().unwrap();
        assert!(moved.to_scalar::<f64>().unwrap() > 0.0, "{module}");
    }
}

#[test]
fn the_last_layer_for_some_tokens_is_that_for_all() {
    let inputs = Inputs::new();
    let transformer = transformer(&Compute::cpu());
    let Inputs {
        latents, reference, ..
    } = inputs.as_type(DType::F32);
    let captions = inputs.captions(&inputs.features);
    let frames = [&reference, &latents];
    let Prepared { layout, caption } = transformer.prepare(&frames, &captions).unwrap();
    let times = transformer.embed_times(&inputs.sigma, &layout).unwrap();
    let image = transformer.embed_image(&frames).unwrap();
    let mixed = |wanted: std::ops::Range<usize>| {
        transformer
            .mix([&image, &caption], &layout, &times, wanted)
            .unwrap()
    };
    let all = mixed(0..image.dim(1).unwrap() + caption.dim(1).unwrap());
    // noisy tokens alone, and a run over both times
    for wanted in [layout.noisy_tokens(), 2..9, 0..3] {
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let of_all = all.narrow(1, wanted.start, wanted.len()).unwrap();
        assert_eq!(values(&mixed(wanted)), values(&of_all));
    }
}

#[test]
fn half_precision_follows_double() {
    let inputs = Inputs::new();
    let exact = inputs.velocity(&transformer(&double()));
    for (dtype, least) in [
        (DType::F32, 0.999_999_9),
        (DType::F16, 0.999),
        (DType::BF16, 0.99),
    ] {
        let compute = Compute {
            dtype,
            ..Compute::cpu()
        };
        let rounded = inputs.as_type(DType::F32).velocity(&transformer(&compute));
        assert_eq!(rounded.dtype(), DType::F32, "the caller's dtype comes back");
        let rounded = rounded.to_dtype(DType::F64).unwrap();
        let dot = |a: &Tensor, b: &Tensor| {
            (a * b)
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f64>()
                .unwrap()
        };
        let cosine = dot(&exact, &rounded) / (dot(&exact, &exact) * dot(&rounded, &rounded)).sqrt();
        assert!(cosine > least, "{dtype:?}: {cosine}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    let transformer = transformer(&double());
    let inputs = Inputs::new();
    let captions = inputs.captions(&inputs.features);
    let run = |latents: &Tensor, captions: &Captions| {
        transformer.velocity(latents, &inputs.sigma, captions)
    };
    assert!(run(&inputs.latents, &captions).is_ok());
    for shape in [
        [2, 3, 4, 6],
        [2, 4, 3, 6],
        [2, 4, 4, 5],
        [2, 4, 0, 6],
        [1, 4, 4, 6],
    ] {
        assert!(
            run(&random_tensor("latents", &shape), &captions).is_err(),
            "{shape:?}"
        );
    }
    for (shape, lengths) in [
        ([2, 31, 12], vec![7, 31]),
        ([2, 32, 11], vec![7, 32]),
        ([2, 32, 12], vec![7, 33]),
        ([2, 32, 12], vec![0, 32]),
        ([2, 32, 12], vec![7]),
    ] {
        let captions = Captions {
            features: random_tensor("features", &shape),
            lengths,
        };
        assert!(
            run(&inputs.latents, &captions).is_err(),
            "{shape:?} {:?}",
            captions.lengths
        );
    }
    let other = random_tensor("reference", &[2, 4, 4, 4]);
    assert!(
        transformer
            .velocity_with_reference(&inputs.latents, &other, &inputs.sigma, &captions)
            .is_err()
    );
}

#[test]
fn weights_of_another_size_are_an_error() {
    let mut larger = config::tests::toy();
    larger["n_layers"] = 3.into();
    let compute = Compute::cpu();
    let stored = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let kept = stored.clone();
    let drawn = Weights::drawn("random", move |name, shape| {
        let tensor = Tensor::zeros(shape, DType::F32, &candle_core::Device::Cpu)?;
        kept.borrow_mut().push((name.to_string(), tensor.clone()));
        Ok(tensor)
    });
    Transformer::load(&config(), drawn, &compute).unwrap();
    let again = || Weights::tensors("file", stored.borrow().iter().cloned());
    assert!(Transformer::load(&config(), again(), &compute).is_ok());
    let missing =
        Transformer::load(&serde_json::from_value(larger).unwrap(), again(), &compute).unwrap_err();
    assert!(
        matches!(&missing, LoadError::MissingTensor { tensor, .. } if tensor.starts_with("layers.2.")),
        "{missing}"
    );
    let mut smaller = config::tests::toy();
    smaller["n_layers"] = 1.into();
    let unused = Transformer::load(&serde_json::from_value(smaller).unwrap(), again(), &compute)
        .unwrap_err();
    assert!(
        matches!(&unused, LoadError::UnusedTensors { tensor, .. } if tensor.starts_with("layers.1.")),
        "{unused}"
    );
}

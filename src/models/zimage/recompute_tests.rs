//! Recomputed blocks against the plain backward, to the bit.
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use candle_core::{DType, Device, Tensor, Var};

use super::*;
use crate::{
    models::{finite_differences::random_tensor, random, weights::Weights},
    nn::{Activations, Collected, Compute, Lora},
};

type Vars = BTreeMap<String, Var>;

fn config() -> Config {
    serde_json::from_value(config::tests::toy()).unwrap()
}

fn single(name: &str, shape: &[usize]) -> Tensor {
    random_tensor(name, shape).to_dtype(DType::F32).unwrap()
}

/// A transformer whose every weight is trained.
fn full() -> (Transformer, Vars) {
    let vars = Rc::new(RefCell::new(Vars::new()));
    let kept = vars.clone();
    let weights = Weights::drawn("trained", move |name, shape| {
        let drawn = random::draw(3, name, shape)?.to_dtype(DType::F32)?;
        let var = Var::from_tensor(&drawn)?;
        let tensor = var.as_tensor().clone();
        kept.borrow_mut().insert(name.into(), var);
        Ok(tensor)
    });
    let transformer = Transformer::load(&config(), weights, &Compute::cpu()).unwrap();
    (transformer, vars.take())
}

/// A frozen transformer with trained branches.
fn low_rank() -> (Transformer, Vars) {
    let weights = Weights::drawn("frozen", |name, shape| random::draw(3, name, shape));
    let base = Transformer::load(&config(), weights, &Compute::cpu()).unwrap();
    let (mut vars, mut branches) = (Vars::new(), BTreeMap::new());
    for (module, inputs, outputs) in [
        ("noise_refiner.0.attention.to_q", 16, 16),
        ("context_refiner.0.feed_forward.w2", 42, 16),
        ("layers.0.attention.to_k", 16, 16),
        ("layers.1.adaLN_modulation.0", 16, 64),
        ("layers.1.feed_forward.w1", 16, 42),
    ] {
        let mut var = |part: &str, shape: &[usize]| {
            let name = format!("{module}.{part}");
            let var = Var::from_tensor(&single(&name, shape)).unwrap();
            vars.insert(name, var.clone());
            var.into_inner()
        };
        let lora = Lora {
            a: var("a", &[2, inputs]),
            b: var("b", &[outputs, 2]),
            scale: 0.5,
        };
        branches.insert(module.to_owned(), lora);
    }
    (base.with_lora(&LoraWeights::new(branches)).unwrap(), vars)
}

/// Two steps of an edit, the second from what the first predicts.
fn unrolled(transformer: &Transformer) -> Tensor {
    let captions = Captions {
        features: single("features", &[2, 32, 12]),
        lengths: vec![7, 32],
    };
    let reference = single("reference", &[2, 4, 4, 6]);
    let mut latents = single("latents", &[2, 4, 4, 6]);
    for sigma in [1.0f32, 0.7] {
        let sigma = Tensor::full(sigma, 2, &Device::Cpu).unwrap();
        let velocity = transformer
            .velocity_with_reference(&latents, &reference, &sigma, &captions)
            .unwrap();
        latents = (latents - velocity * 0.4).unwrap();
    }
    latents.sqr().unwrap().mean_all().unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn recomputed_gradients_are_the_plain_ones_to_the_bit() {
    for (transformer, vars) in [full(), low_rank()] {
        let plain = unrolled(&transformer);
        let expected = plain.backward().unwrap();
        let collected = Collected::of(vars.values());
        let activations = Activations::Recompute(collected.clone());
        let again = unrolled(&transformer.with_activations(activations));
        let grads = again.backward().unwrap();
        assert_eq!(bits(&plain), bits(&again));
        let mut inside = 0;
        for (name, var) in &vars {
            let Some(expected) = expected.get(var) else {
                assert!(grads.get(var).is_none(), "{name}");
                continue;
            };
            let from_blocks = collected.take(var);
            inside += usize::from(from_blocks.is_some());
            let grad = from_blocks.or_else(|| grads.get(var).cloned());
            assert_eq!(
                bits(expected),
                bits(&grad.unwrap_or_else(|| panic!("{name} has no gradient"))),
                "{name}"
            );
        }
        assert!(inside > 9, "{inside} gradients came from blocks");
    }
}

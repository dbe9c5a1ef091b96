//! A transformer that is being trained: its parameters, and the same values without a graph.
use std::collections::BTreeMap;

use candle_core::{Tensor, Var, backprop::GradStore};

use super::{
    error::TrainingResult,
    optimiser::{Gradients, Parameters},
};
use crate::{
    models::{
        weights::Weights,
        zimage::{Config, LoraWeights, Transformer},
    },
    nn::{Activations, Collected, Compute, Lora},
};

/// Low-rank branches by module: `A` `[r, in]`, `B` `[out, r]`, and the scale of their product.
#[derive(Clone, Debug)]
pub struct LowRank {
    pub pairs: BTreeMap<String, [Tensor; 2]>,
    /// `alpha / r`
    pub scale: f64,
}

/// Whether activations are kept for the backward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Recompute them, block by block.
    Recompute,
    /// Keep them all: faster, where there is room.
    Keep,
}

/// A trained transformer.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// Records what a backward pass needs.
    pub tracked: Transformer,
    /// The same values at any time, recording nothing.
    pub frozen: Transformer,
    pub parameters: Parameters,
    collected: Collected,
}

/// Full fine-tuning leaves these as they are, as the reference does: nothing but pads is made of them.
const NEVER_TRAINED: [&str; 2] = ["x_pad_token", "cap_pad_token"];

impl Tuned {
    /// `base` frozen, with `branches` beside it as parameters `MODULE.lora_A.weight` and `MODULE.lora_B.weight`.
    ///
    /// # Errors
    /// A branch for a module that `base` does not have.
    pub fn low_rank(
        base: &Transformer,
        branches: &LowRank,
        memory: Memory,
    ) -> TrainingResult<Self> {
        let (mut parameters, mut tracked, mut frozen) =
            (Parameters::new(), BTreeMap::new(), BTreeMap::new());
        for (module, pair) in &branches.pairs {
            let mut vars = Vec::with_capacity(2);
            for (name, tensor) in [("A", &pair[0]), ("B", &pair[1])] {
                let var = Var::from_tensor(tensor)?;
                parameters.insert(format!("{module}.lora_{name}.weight"), var.clone());
                vars.push(var);
            }
            let branch = |of: fn(&Var) -> Tensor| Lora {
                a: of(&vars[0]),
                b: of(&vars[1]),
                scale: branches.scale,
            };
            tracked.insert(module.clone(), branch(|var| var.as_tensor().clone()));
            frozen.insert(module.clone(), branch(Var::as_detached_tensor));
        }
        let tracked = base.with_lora(&LoraWeights::new(tracked))?;
        let frozen = base.with_lora(&LoraWeights::new(frozen))?;
        Ok(Self::new(tracked, frozen, parameters, memory))
    }

    /// Every weight of `weights`, diffusers names, is a parameter, but the pad tokens.
    ///
    /// # Errors
    /// Weights that are not those of the config.
    pub fn full(
        (config, compute): (&Config, &Compute),
        weights: BTreeMap<String, Tensor>,
        memory: Memory,
    ) -> TrainingResult<Self> {
        let (mut parameters, mut tracked, mut frozen) = (Parameters::new(), Vec::new(), Vec::new());
        for (name, tensor) in weights {
            if NEVER_TRAINED.contains(&name.as_str()) {
                tracked.push((name.clone(), tensor.clone()));
                frozen.push((name, tensor));
                continue;
            }
            let var = Var::from_tensor(&tensor)?;
            tracked.push((name.clone(), var.as_tensor().clone()));
            frozen.push((name.clone(), var.as_detached_tensor()));
            parameters.insert(name, var);
        }
        let load = |tensors| {
            Transformer::load(
                config,
                Weights::tensors("the trained weights", tensors),
                compute,
            )
        };
        let (tracked, frozen) = (load(tracked)?, load(frozen)?);
        Ok(Self::new(tracked, frozen, parameters, memory))
    }

    fn new(
        tracked: Transformer,
        frozen: Transformer,
        parameters: Parameters,
        memory: Memory,
    ) -> Self {
        let collected = Collected::of(parameters.values());
        let tracked = match memory {
            Memory::Keep => tracked,
            Memory::Recompute => {
                tracked.with_activations(Activations::Recompute(collected.clone()))
            }
        };
        Self {
            tracked,
            frozen,
            parameters,
            collected,
        }
    }

    /// What a backward pass left for the parameters, inside and outside of recomputed blocks. Parameters that took no part
    /// are missing.
    pub fn gradients(&self, grads: &mut GradStore) -> Gradients {
        let found = self.parameters.iter().filter_map(|(name, var)| {
            let grad = self
                .collected
                .take(var)
                .or_else(|| grads.remove(var.as_tensor()));
            Some((name.clone(), grad?))
        });
        found.collect()
    }
}

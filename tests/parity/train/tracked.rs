//! Transformers whose weights have gradients.
use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Tensor, Var, backprop::GradStore};
use npedit::{
    models::{
        weights::Weights,
        zimage::{Config, LoraWeights, Transformer},
    },
    nn::Lora,
};

use crate::{
    ledger::{Failure, Ledger, values},
    system::{System, text},
};

/// Trained tensors under the names that the reference records.
pub type Vars = BTreeMap<String, Var>;

const MODULE: &str = "transformer.";
/// Full fine-tuning leaves these as they are.
const FROZEN: [&str; 2] = ["x_pad_token", "cap_pad_token"];

/// Merged into the bundle's weights or kept beside them, with the scale `alpha / r`.
pub struct Adapter {
    /// `A` `[r, in]` and `B` `[out, r]` by module, such as `layers.0.attention.to_q`.
    pairs: BTreeMap<String, [Tensor; 2]>,
    scale: f64,
}

impl Adapter {
    const PREFIX: &str = "base_model.model.transformer.";

    /// A peft adapter beside the bundle.
    pub fn read(system: &System, directory: &str) -> Result<Self, Failure> {
        let config = system.json_beside(&format!("{directory}/adapter_config.json"))?;
        let number = |key: &str| {
            config[key]
                .as_f64()
                .ok_or(format!("{directory} has no {key}"))
        };
        let path = system
            .variant
            .dir
            .join(directory)
            .join("adapter_model.safetensors");
        let tensors = candle_core::safetensors::load(path, &system.compute.device)?;
        let mut pairs = BTreeMap::new();
        for (name, a) in &tensors {
            if let Some(module) = name.strip_suffix(".lora_A.weight") {
                let b = tensors
                    .get(&format!("{module}.lora_B.weight"))
                    .ok_or(format!("{module} has no B"))?;
                let module = module
                    .strip_prefix(Self::PREFIX)
                    .ok_or(format!("unexpected module {module}"))?;
                pairs.insert(module.to_string(), [a.clone(), b.clone()]);
            }
        }
        Ok(Self {
            pairs,
            scale: number("lora_alpha")? / number("r")?,
        })
    }

    /// `base` with this adapter as trained branches.
    pub fn beside(&self, base: &Transformer) -> Result<(Transformer, Vars), Failure> {
        let (mut vars, mut branches) = (Vars::new(), BTreeMap::new());
        for (module, pair) in &self.pairs {
            let [a, b] = [Var::from_tensor(&pair[0])?, Var::from_tensor(&pair[1])?];
            let lora = Lora {
                a: a.as_tensor().clone(),
                b: b.as_tensor().clone(),
                scale: self.scale,
            };
            branches.insert(module.clone(), lora);
            for (name, var) in [("A", a), ("B", b)] {
                vars.insert(format!("{}{module}.lora_{name}.weight", Self::PREFIX), var);
            }
        }
        Ok((base.with_lora(&LoraWeights::new(branches))?, vars))
    }

    /// Adds the product of each pair to its weight.
    pub fn merge(&self, weights: &mut HashMap<String, Tensor>) -> Result<(), Failure> {
        for (module, [a, b]) in &self.pairs {
            let name = format!("{module}.weight");
            let weight = weights.get(&name).ok_or(format!("no weight {name}"))?;
            let merged = (weight + (b.matmul(a)? * self.scale)?)?;
            weights.insert(name, merged);
        }
        Ok(())
    }
}

/// The bundle's weights in single precision.
pub fn bundle_weights(system: &System) -> Result<HashMap<String, Tensor>, Failure> {
    let path = system
        .variant
        .dir
        .join("bundle/transformer/diffusion_pytorch_model.safetensors");
    single_precision(
        system,
        candle_core::safetensors::load(path, &system.compute.device)?,
    )
}

/// The released editor's weights in single precision, read by candle and not by npedit.
pub fn student_weights(system: &System) -> Result<HashMap<String, Tensor>, Failure> {
    let all = candle_core::pickle::read_all(system.variant.dir.join("student.pt"))?;
    let bare = all
        .into_iter()
        .map(|(name, tensor)| match name.strip_prefix(MODULE) {
            Some(bare) => Ok((bare.to_string(), tensor)),
            None => Err(format!("unexpected tensor {name}")),
        });
    single_precision(system, bare.collect::<Result<_, _>>()?)
}

fn single_precision(
    system: &System,
    weights: HashMap<String, Tensor>,
) -> Result<HashMap<String, Tensor>, Failure> {
    let moved = weights.into_iter().map(|(name, tensor)| {
        let tensor = tensor
            .to_dtype(DType::F32)?
            .to_device(&system.compute.device)?;
        Ok((name, tensor))
    });
    moved.collect()
}

/// A transformer whose every weight is trained, but the pad tokens.
pub fn full(
    system: &System,
    weights: HashMap<String, Tensor>,
) -> Result<(Transformer, Vars), Failure> {
    let (mut vars, mut tensors) = (Vars::new(), Vec::new());
    for (name, tensor) in weights {
        if FROZEN.contains(&name.as_str()) {
            tensors.push((name, tensor));
            continue;
        }
        let var = Var::from_tensor(&tensor)?;
        tensors.push((name.clone(), var.as_tensor().clone()));
        vars.insert(format!("{MODULE}{name}"), var);
    }
    let config = Config::read(&system.files)?;
    let transformer = Transformer::load(
        &config,
        Weights::tensors("tracked", tensors),
        &system.compute,
    )?;
    Ok((transformer, vars))
}

/// The fake score with its adapter merged, frozen.
pub fn full_fake(system: &System) -> Result<Transformer, Failure> {
    let mut weights = bundle_weights(system)?;
    Adapter::read(
        system,
        text(&system.variant.cases["train"]["lora"], "fake")?,
    )?
    .merge(&mut weights)?;
    let (transformer, _) = full(system, weights)?;
    Ok(transformer)
}

/// Compares every recorded gradient below `prefix`, its norms by parameter, and their global norm.
pub struct Gradients<'a> {
    pub vars: &'a Vars,
    pub grads: &'a GradStore,
}

const FAMILY: &str = "gradients";

impl Gradients<'_> {
    /// Tensors `PREFIX.PARAM`.
    pub fn compare(
        &self,
        system: &System,
        prefix: &str,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        for (name, var) in self.vars {
            let output = format!("{prefix}.{name}");
            if !system.variant.outputs().contains(&output) {
                continue;
            }
            let grad = self
                .grads
                .get(var)
                .ok_or(format!("{name} has no gradient"))?;
            ledger.tensor(&output, grad, FAMILY)?;
        }
        Ok(())
    }

    /// The norm over all parameters.
    pub fn compare_norm(
        &self,
        output: &str,
        recorded: f64,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let squares = self.norms()?.values().map(|norm| norm * norm).sum::<f64>();
        ledger.values(output, &[squares.sqrt()], &[recorded], FAMILY);
        Ok(())
    }

    /// The norm of each parameter; `recorded` maps names to norms.
    pub fn compare_norms(
        &self,
        output: &str,
        recorded: &serde_json::Value,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let norms = self.norms()?;
        let recorded = recorded.as_object().ok_or("gradient norms are no object")?;
        let names: Vec<_> = norms.keys().collect();
        if !recorded.keys().all(|name| norms.contains_key(name)) || recorded.len() != norms.len() {
            return Err(format!("{output}: ours are {names:?}").into());
        }
        let theirs: Vec<f64> = names
            .iter()
            .map(|name| recorded[name.as_str()].as_f64().unwrap_or(f64::NAN))
            .collect();
        let ours: Vec<f64> = norms.values().copied().collect();
        ledger.values(output, &ours, &theirs, FAMILY);
        Ok(())
    }

    fn norms(&self) -> Result<BTreeMap<String, f64>, Failure> {
        let norms = self.vars.iter().map(|(name, var)| {
            let grad = self
                .grads
                .get(var)
                .ok_or(format!("{name} has no gradient"))?;
            let squares = values(grad)?.iter().map(|value| value * value).sum::<f64>();
            Ok((name.clone(), squares.sqrt()))
        });
        norms.collect()
    }
}

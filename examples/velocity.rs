//! The plain transformer's velocity on given inputs, with or without an adapter: `benches/adapter_interop.py` compares it.
//!
//!     cargo run --example velocity -- BUNDLE INPUTS.safetensors OUT.safetensors [ADAPTER [SCALE]]
//!
//! Inputs: `latents` `[1, C, h, w]`, `sigma` `[1]`, `caption` `[1, L, D]`; every row of the caption counts.
use std::{collections::HashMap, error::Error, path::Path};

use candle_core::{Device, Tensor};
use npedit::{
    adapters,
    models::{
        files::Files,
        weights::Weights,
        zimage::{Captions, Config, LoraWeights, Transformer},
    },
    nn::Compute,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (bundle, inputs, out, adapter) = match &arguments[..] {
        [bundle, inputs, out, adapter @ ..] if adapter.len() <= 2 => (bundle, inputs, out, adapter),
        _ => {
            return Err(
                "usage: velocity BUNDLE INPUTS.safetensors OUT.safetensors [ADAPTER [SCALE]]"
                    .into(),
            );
        }
    };
    let files = Files::Directory(bundle.into());
    let weights = Weights::safetensors(&files, "transformer")?;
    let base = Transformer::load(&Config::read(&files)?, weights, &Compute::cpu())?;
    let transformer = match adapter {
        [] => base,
        [path, scale @ ..] => adapted(&base, Path::new(path), scale)?,
    };
    let inputs = candle_core::safetensors::load(inputs, &Device::Cpu)?;
    let input = |name: &str| inputs.get(name).ok_or(format!("the inputs have no {name}"));
    let velocity = transformer.velocity(
        input("latents")?,
        input("sigma")?,
        &Captions::new(std::slice::from_ref(input("caption")?))?,
    )?;
    let outputs: HashMap<&str, Tensor> = HashMap::from([("velocity", velocity)]);
    candle_core::safetensors::save(&outputs, out)?;
    Ok(())
}

fn adapted(
    base: &Transformer,
    path: &Path,
    scale: &[String],
) -> Result<Transformer, Box<dyn Error>> {
    let mut adapter = adapters::read(path)?.adapter;
    if let [scale] = scale {
        adapter = adapter.scaled(scale.parse()?)?;
    }
    adapter.check_shapes(&base.linear_shapes())?;
    let branches = adapter.branches(base.compute())?;
    Ok(base.with_lora(&LoraWeights::new(branches))?)
}

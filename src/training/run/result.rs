//! What a finished run leaves: an adapter, or whole weights.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use candle_core::Tensor;

use super::{Models, RunDirectory, RunError, RunResult};
use crate::{
    adapters::{self, Adapter, AdapterConfig, AdapterId, Pair, Scaling, Target},
    models::zimage::GENERATOR_PREFIX,
    training::{
        recipe::{LoraChoice, Recipe, Tuning},
        trainer::Trainer,
    },
};

/// Where the result lies.
#[derive(Debug)]
pub enum Written {
    Adapter {
        id: AdapterId,
        /// For diffusers.
        diffusers: PathBuf,
        /// For PEFT.
        peft: PathBuf,
    },
    /// A generator for `--generator`.
    Weights(PathBuf),
}

impl Written {
    /// For people: what it is, and where in the run's `directory` it lies.
    pub(super) fn facts(&self, directory: &Path) -> Vec<(&'static str, String)> {
        let inside = |path: &PathBuf| {
            let path = path.strip_prefix(directory).unwrap_or(path);
            path.display().to_string()
        };
        match self {
            Self::Adapter {
                id,
                diffusers,
                peft,
            } => vec![
                ("adapter", id.to_string()),
                ("diffusers", inside(diffusers)),
                ("PEFT", inside(peft)),
            ],
            Self::Weights(path) => vec![("generator", inside(path))],
        }
    }
}

pub(super) fn write(
    recipe: &Recipe,
    models: &Models,
    trainer: &Trainer,
    directory: &RunDirectory,
) -> RunResult<Written> {
    let result = trainer.result();
    match &recipe.tuning {
        Tuning::Lora(lora) => {
            let adapter = adapter(result, lora, models)?;
            let folder = directory.path().join("adapter");
            let diffusers = adapters::write(&adapter, &folder, Target::Diffusers)?;
            let peft = adapters::write(&adapter, &folder.join("peft"), Target::Peft)?;
            Ok(Written::Adapter {
                id: adapter.id().clone(),
                diffusers,
                peft,
            })
        }
        Tuning::Full => {
            let folder = directory.path().join("transformer");
            let path = folder.join("diffusion_pytorch_model.safetensors");
            let failed = |source| RunError::Write {
                path: path.clone(),
                source,
            };
            fs::create_dir_all(&folder).map_err(failed)?;
            let mut all = models
                .source
                .masters(crate::pipelines::bundle::Role::Generator, &models.placement)?;
            all.extend(result);
            let named = all
                .into_iter()
                .map(|(name, tensor)| (format!("{GENERATOR_PREFIX}.{name}"), tensor));
            let named: std::collections::HashMap<String, Tensor> = named.collect();
            let part = folder.join("diffusion_pytorch_model.part");
            candle_core::safetensors::save(&named, &part)?;
            fs::rename(&part, &path).map_err(failed)?;
            Ok(Written::Weights(path))
        }
    }
}

/// Parameters `MODULE.lora_A.weight` and `MODULE.lora_B.weight` as an adapter.
fn adapter(
    mut result: BTreeMap<String, Tensor>,
    lora: &LoraChoice,
    models: &Models,
) -> RunResult<Adapter> {
    const A: &str = ".lora_A.weight";
    let modules: Vec<String> = result
        .keys()
        .filter_map(|name| Some(name.strip_suffix(A)?.to_owned()))
        .collect();
    let mut pairs = BTreeMap::new();
    for module in modules {
        let halves = [A, ".lora_B.weight"].map(|half| result.remove(&format!("{module}{half}")));
        if let [Some(a), Some(b)] = halves {
            let alpha = lora.alpha;
            pairs.insert(module, Pair { a, b, alpha });
        }
    }
    let config = AdapterConfig {
        scaling: Scaling::Standard,
        base: Some(models.source.generator_sha256()?),
    };
    Ok(Adapter::new(pairs, config)?)
}

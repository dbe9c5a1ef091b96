//! Bundles of random weights: every class and file of a real one, deterministic from a seed, never trained.
mod draw;
mod judge;
mod preset;
mod tokenizer;

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

pub use preset::Preset;

use super::{
    bundle,
    error::LoadError,
    files::{Files, JUDGE},
    folder::Folder,
    qwen3::{self, TextEncoder},
    vae::{self, AutoencoderKl},
    vlm::VisionLanguageModel,
    weights::Weights,
    zimage::{self, Transformer},
};
use crate::nn::Compute;
use draw::Ledger;
#[cfg(test)]
pub(super) use draw::draw;
use tokenizer::Tokenizer;

/// A random bundle that was not written.
#[derive(Debug, thiserror::Error)]
pub enum RandomBundleError {
    #[error("{path} is not empty; name a directory that does not exist yet")]
    NotEmpty { path: PathBuf },
    #[error("cannot write {path}: {source}; check the permissions and the free space")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot lay out the weights of {path}: {source}; this is a defect, please report it")]
    Weights {
        path: PathBuf,
        #[source]
        source: safetensors::SafeTensorError,
    },
    #[error(transparent)]
    Model(#[from] LoadError),
}

/// Writes a complete bundle to `directory`, which must be empty or not exist: same preset and seed, same bytes.
///
/// # Errors
/// The directory holds something, or a file cannot be written.
pub fn write(directory: &Path, preset: Preset, seed: u64) -> Result<(), RandomBundleError> {
    let out = Output { directory };
    out.claim()?;
    out.json("model_index.json", &preset::model_index())?;
    out.json("scheduler/scheduler_config.json", &preset.scheduler())?;
    out.json("tokenizer/tokenizer.json", &Tokenizer::of(preset).json())?;
    out.json(
        "tokenizer/tokenizer_config.json",
        &tokenizer::config(preset),
    )?;
    let settings = serde_json::to_value(preset.settings()).expect("settings are plain values");
    out.json(bundle::FILE_NAME, &settings)?;

    out.component(
        "transformer",
        "diffusion_pytorch_model",
        &preset.transformer(),
        |config, compute| {
            let ledger = Ledger::starting(seed, move |name| preset.of_transformer(name));
            let config: zimage::Config = parse(config);
            Transformer::load(
                &config,
                Weights::drawn("transformer", ledger.rule()),
                compute,
            )?;
            Ok(ledger)
        },
    )?;
    out.component(
        "vae",
        "diffusion_pytorch_model",
        &preset.vae(),
        |config, compute| {
            let ledger = Ledger::new(seed.wrapping_add(1));
            let config: vae::Config = parse(config);
            AutoencoderKl::load(&config, Weights::drawn("vae", ledger.rule()), compute)?;
            Ok(ledger)
        },
    )?;
    out.component(
        "text_encoder",
        "model",
        &preset.text_encoder(),
        |config, compute| {
            let ledger = Ledger::new(seed.wrapping_add(2));
            let config: qwen3::Config = parse(config);
            TextEncoder::load(
                &config,
                Weights::drawn("text_encoder", ledger.rule()),
                compute,
            )?;
            Ok(ledger)
        },
    )?;
    write_judge(&out, preset, seed)
}

fn write_judge(out: &Output, preset: Preset, seed: u64) -> Result<(), RandomBundleError> {
    for (name, value) in [
        ("preprocessor_config.json", judge::preprocessor(preset)),
        ("tokenizer.json", Tokenizer::of_judge(preset).json()),
        ("tokenizer_config.json", tokenizer::judge_config()),
    ] {
        out.json(&format!("{JUDGE}/{name}"), &value)?;
    }
    for (name, text) in judge::texts(preset) {
        out.text(&format!("{JUDGE}/{name}"), text)?;
    }
    let folder = Folder::below(Files::Directory(out.directory.into()), JUDGE);
    out.component(JUDGE, "model", &judge::config(preset), |_, compute| {
        let ledger = Ledger::starting(seed.wrapping_add(3), move |name| preset.of_judge(name));
        VisionLanguageModel::build(&folder, Weights::drawn(JUDGE, ledger.rule()), compute)?;
        Ok(ledger)
    })
}

fn parse<T: serde::de::DeserializeOwned>(config: &Value) -> T {
    serde_json::from_value(config.clone()).expect("a preset is a config of its own model")
}

struct Output<'a> {
    directory: &'a Path,
}

impl Output<'_> {
    fn claim(&self) -> Result<(), RandomBundleError> {
        fs::create_dir_all(self.directory).map_err(|source| self.write_error("", source))?;
        let mut entries =
            fs::read_dir(self.directory).map_err(|source| self.write_error("", source))?;
        if entries.next().is_some() {
            let path = self.directory.to_owned();
            return Err(RandomBundleError::NotEmpty { path });
        }
        for part in [
            "transformer",
            "vae",
            "text_encoder",
            "tokenizer",
            "scheduler",
            JUDGE,
        ] {
            fs::create_dir(self.directory.join(part))
                .map_err(|source| self.write_error(part, source))?;
        }
        Ok(())
    }

    fn json(&self, name: &str, value: &Value) -> Result<(), RandomBundleError> {
        let text = serde_json::to_string_pretty(value).expect("a JSON value is JSON");
        self.text(name, &(text + "\n"))
    }

    fn text(&self, name: &str, text: &str) -> Result<(), RandomBundleError> {
        fs::write(self.directory.join(name), text).map_err(|source| self.write_error(name, source))
    }

    /// Builds one model, which asks for every tensor it has, and writes what it was given, in bfloat16.
    fn component(
        &self,
        part: &str,
        stem: &str,
        config: &Value,
        build: impl Fn(&Value, &Compute) -> Result<Rc<Ledger>, LoadError>,
    ) -> Result<(), RandomBundleError> {
        self.json(&format!("{part}/config.json"), config)?;
        let compute = Compute {
            device: Device::Cpu,
            dtype: DType::BF16,
        };
        let tensors: HashMap<String, Tensor> = build(config, &compute)?.tensors();
        let name = format!("{part}/{stem}.safetensors");
        let bytes = safetensors::serialize(tensors, None).map_err(|source| {
            let path = self.directory.join(&name);
            RandomBundleError::Weights { path, source }
        })?;
        fs::write(self.directory.join(&name), bytes)
            .map_err(|source| self.write_error(&name, source))
    }

    fn write_error(&self, name: &str, source: io::Error) -> RandomBundleError {
        let path = self.directory.join(name);
        RandomBundleError::Write { path, source }
    }
}

#[cfg(test)]
mod tests;

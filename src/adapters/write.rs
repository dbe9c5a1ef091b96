//! Adapters to files.
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use candle_core::Tensor;
use serde_json::{Map, Value};

use super::{
    Adapter, AdapterError,
    container::to_bytes,
    durable::{Unplaced, sync_directory},
    lora_config::LoraConfig,
};

pub(super) const DIFFUSERS_WEIGHTS: &str = "pytorch_lora_weights.safetensors";
pub(super) const DIFFUSERS_METADATA: &str = "lora_adapter_metadata";
pub(super) const PEFT_WEIGHTS: &str = "adapter_model.safetensors";
pub(super) const PEFT_SETTINGS: &str = "adapter_config.json";
/// Our own note: the hash of the transformer that the adapter was trained on.
pub(super) const BASE: &str = "npedit_base_sha256";

/// Who is to read the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `ZImagePipeline.load_lora_weights`.
    Diffusers,
    /// `PeftModel.from_pretrained` on a model whose `transformer` is adapted.
    Peft,
}

impl Target {
    /// The files that [`write`] puts into a directory.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::Diffusers => &[DIFFUSERS_WEIGHTS],
            Self::Peft => &[PEFT_WEIGHTS, PEFT_SETTINGS],
        }
    }
}

/// Writes `adapter` into `directory`, which is made where missing; each file appears whole or not at all, and settings never
/// stand beside weights of another adapter. The same adapter gives the same bytes. Answers the file with the weights.
///
/// # Errors
/// The directory cannot be written to.
pub fn write(adapter: &Adapter, directory: &Path, target: Target) -> Result<PathBuf, AdapterError> {
    let refused = |source| AdapterError::Write {
        file: directory.into(),
        source,
    };
    fs::create_dir_all(directory).map_err(refused)?;
    let settings = LoraConfig::of(adapter);
    let written = match target {
        Target::Diffusers => write_diffusers(adapter, directory, settings),
        Target::Peft => write_peft(adapter, directory, &settings),
    };
    written.map_err(refused)
}

fn write_diffusers(
    adapter: &Adapter,
    directory: &Path,
    settings: Map<String, Value>,
) -> io::Result<PathBuf> {
    let settings = settings.into_iter();
    let settings: Map<_, _> = settings
        .map(|(key, value)| (format!("transformer.{key}"), value))
        .collect();
    let mut notes = notes(adapter);
    notes.insert(DIFFUSERS_METADATA, pretty(&settings)?);
    let path = directory.join(DIFFUSERS_WEIGHTS);
    Unplaced::write(&path, &to_bytes(&tensors(adapter, "transformer"), notes))?.place()?;
    Ok(path)
}

fn write_peft(
    adapter: &Adapter,
    directory: &Path,
    settings: &Map<String, Value>,
) -> io::Result<PathBuf> {
    let path = directory.join(PEFT_WEIGHTS);
    let tensors = tensors(adapter, "base_model.model.transformer");
    let weights = Unplaced::write(&path, &to_bytes(&tensors, notes(adapter)))?;
    let place = directory.join(PEFT_SETTINGS);
    let settings = Unplaced::write(&place, pretty(settings)?.as_bytes())?;
    match fs::remove_file(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => sync_directory(directory)?,
    }
    weights.place()?;
    settings.place()?;
    Ok(path)
}

fn tensors(adapter: &Adapter, prefix: &str) -> BTreeMap<String, Tensor> {
    let pairs = adapter.pairs().iter();
    let tensors = pairs.flat_map(|(module, pair)| {
        [("A", &pair.a), ("B", &pair.b)].map(|(part, tensor)| {
            let name = format!("{prefix}.{module}.lora_{part}.weight");
            (name, tensor.clone())
        })
    });
    tensors.collect()
}

fn notes(adapter: &Adapter) -> BTreeMap<&'static str, String> {
    let mut notes = BTreeMap::from([("format", "pt".to_owned())]);
    if let Some(base) = &adapter.config().base {
        notes.insert(BASE, base.clone());
    }
    notes
}

fn pretty(settings: &Map<String, Value>) -> io::Result<String> {
    Ok(serde_json::to_string_pretty(settings)?)
}

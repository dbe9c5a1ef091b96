//! Why an adapter was refused.
use std::{io, path::PathBuf};

use super::Layout;

/// An adapter could not be read, used or written. Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    #[error("cannot read {}: {source}; check the path and its permissions", file.display())]
    Read {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} is no adapter: {found}; name a .safetensors file, or a directory with adapter_config.json and adapter_model.safetensors",
        file.display()
    )]
    NotAnAdapter { file: PathBuf, found: String },
    #[error("{} is not a whole safetensors file: {reason}; copy or download it again", file.display())]
    Safetensors { file: PathBuf, reason: String },
    #[error("{} does not read as JSON: {source}; correct it, or export the adapter again", file.display())]
    Json {
        file: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{}: {key} is {value}, it must be {expected}", file.display())]
    Setting {
        file: PathBuf,
        key: String,
        value: String,
        expected: &'static str,
    },
    #[error("the adapter has {feature}, which npedit cannot apply; {advice}")]
    Unsupported {
        feature: String,
        advice: &'static str,
    },
    #[error(
        "{}: {tensor} is no part of a LoRA of a transformer; export the adapter again, with its LoRA alone",
        file.display()
    )]
    UnknownTensor { file: PathBuf, tensor: String },
    #[error(
        "{} names tensors as {} does and as {} does; export the adapter again from one program",
        file.display(), layouts[0], layouts[1]
    )]
    Mixed { file: PathBuf, layouts: [Layout; 2] },
    #[error("{} holds {part} of {module} twice; export the adapter again", file.display())]
    Twice {
        file: PathBuf,
        module: String,
        part: &'static str,
    },
    #[error(
        "the adapter has {present} of {module} without its {missing}; export it again, or copy the whole file"
    )]
    HalfPair {
        module: String,
        present: &'static str,
        missing: &'static str,
    },
    #[error("the adapter has no branch; train it, or name another file")]
    Empty,
    #[error(
        "{module}: A has shape {a:?} and B {b:?}, they must be [r, in] and [out, r] with the same r of at least 1; export the adapter again"
    )]
    Ranks {
        module: String,
        a: Vec<usize>,
        b: Vec<usize>,
    },
    #[error(
        "{module}: its tensors have rank {found}, the settings say {said}; use the settings that were exported with these weights"
    )]
    RankSetting {
        module: String,
        found: usize,
        said: u64,
    },
    #[error(
        "{module}: alpha is {alpha}, it must be finite and not 0; correct the adapter's settings or export it again"
    )]
    Alpha { module: String, alpha: f64 },
    #[error(
        "the adapter cannot be scaled by {factor}: its strength would be 0 or infinite; choose a number around 1, or use no adapter"
    )]
    Factor { factor: f64 },
    #[error(
        "{tensor} is stored as {dtype}, expected float32, bfloat16 or float16; convert the adapter"
    )]
    Dtype { tensor: String, dtype: String },
    #[error(
        "the adapter's branch of {module} is for a weight of shape {adapter:?}, the model's has {base:?}; use the adapter with the model that it was trained on"
    )]
    Shape {
        module: String,
        adapter: [usize; 2],
        base: [usize; 2],
    },
    #[error(
        "the adapter has a branch for {module}, which the model does not have{}; use the adapter with the model that it was trained on",
        nearest.as_ref().map(|name| format!(" (nearest: {name})")).unwrap_or_default()
    )]
    UnknownModule {
        module: String,
        nearest: Option<String>,
    },
    #[error(
        "the adapter was trained on the transformer {adapter}, this one is {base}; use the adapter with the weights that it was trained on"
    )]
    Base { adapter: String, base: String },
    #[error("cannot write {}: {source}; check the free space and the permissions", file.display())]
    Write {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{module}: {source}; free device memory, or export the adapter again")]
    Tensor {
        module: String,
        #[source]
        source: candle_core::Error,
    },
}

//! Why a bundle, a checkpoint or a model configuration was refused.
use std::{fmt::Debug, io};

use super::weights::TorchProblem;

/// What loading answers.
pub type LoadResult<T> = Result<T, LoadError>;

/// A model could not be loaded. Every message names the file and says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{file} is missing in {root}; check that the bundle is complete, or download it again")]
    MissingFile { file: String, root: String },
    #[error("cannot read {file}: {source}; check the path and its permissions")]
    Read {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "{index} names {path:?}, which is not a file beside it; refusing to follow it, download the bundle from a source that you trust"
    )]
    UnsafePath { index: String, path: String },
    #[error(
        "{file} is not valid JSON of the expected form: {source}; correct it or download it again"
    )]
    Json {
        file: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{file}: {key} is {value}, it must be {expected}")]
    Config {
        file: String,
        key: &'static str,
        value: String,
        expected: String,
    },
    #[error("{file} is not a valid safetensors file: {reason}; download it again")]
    Safetensors { file: String, reason: String },
    #[error("{file} is not a torch checkpoint that npedit reads: {problem}")]
    Torch { file: String, problem: TorchProblem },
    #[error(
        "{file} has no tensor {tensor}, expected with shape {expected:?}; the weights do not belong to this config.json"
    )]
    MissingTensor {
        file: String,
        tensor: String,
        expected: Vec<usize>,
    },
    #[error(
        "{file}: {tensor} has shape {found:?}, config.json asks for {expected:?}; use the config.json that belongs to these weights"
    )]
    Shape {
        file: String,
        tensor: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error(
        "{file} holds {count} tensors that this model does not have, first {tensor} of shape {found:?} (expected: none); use the config.json that belongs to these weights"
    )]
    UnusedTensors {
        file: String,
        count: usize,
        tensor: String,
        found: Vec<usize>,
    },
    #[error(
        "{file}: {tensor} is stored as {dtype}, expected float32, bfloat16 or float16; convert the weights"
    )]
    Dtype {
        file: String,
        tensor: String,
        dtype: String,
    },
    #[error(
        "{file}: {tensor} could not be placed on the device: {source}; free device memory or choose a smaller dtype"
    )]
    Place {
        file: String,
        tensor: String,
        #[source]
        source: Box<candle_core::Error>,
    },
    #[error("{file} is not a usable tokenizer: {reason}; download it again")]
    Tokenizer { file: String, reason: String },
    #[error(
        "the chat template in {file} does not render: {source}; replace it with the one of the original checkpoint"
    )]
    Template {
        file: String,
        #[source]
        source: minijinja::Error,
    },
    #[error(
        "the tokenizer in {folder} has no single token for {word:?}, which a judge answers with; use a judge whose tokenizer has both Yes and No"
    )]
    AnswerToken { folder: String, word: &'static str },
    #[error(
        "the adapter has weights for {module}, which this transformer does not have; use it with the base that it was trained on"
    )]
    UnknownModule { module: String },
    #[error(
        "the adapter's branch for {module} has shapes {a:?} and {b:?}, its weight is {weight:?}; use it with the base that it was trained on"
    )]
    BranchShape {
        module: String,
        a: Vec<usize>,
        b: Vec<usize>,
        weight: [usize; 2],
    },
}

/// The error of a config whose `key` in `file` does not hold what a model needs.
pub(super) fn require(
    holds: bool,
    (file, key): (&str, &'static str),
    value: &impl Debug,
    expected: &str,
) -> LoadResult<()> {
    if holds {
        return Ok(());
    }
    Err(LoadError::Config {
        file: file.into(),
        key,
        value: format!("{value:?}"),
        expected: expected.into(),
    })
}

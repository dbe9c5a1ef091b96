//! Why a training step could not be taken.
use std::path::PathBuf;

use crate::{
    models::error::LoadError,
    pipelines::{judge::JudgeError, sigmas::SigmasError, text::TextError},
};

pub type TrainingResult<T> = Result<T, TrainingError>;

/// A step failed; nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(
        "the device refused: {0}; free memory on it, lower batch.micro, or turn memory.recompute on"
    )]
    Tensor(#[from] candle_core::Error),
    #[error(transparent)]
    Judge(#[from] JudgeError),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Sigmas(#[from] SigmasError),
    #[error(transparent)]
    Checkpoint(#[from] super::checkpoint::CheckpointError),
    #[error(transparent)]
    Image(#[from] super::instruction_set::PictureError),
    #[error(
        "the judge has no token {word:?}, or its chat template does not write it after each picture; start from `npedit bundle random --preset world`"
    )]
    NotOfTheWorld { word: String },
    #[error("{} cannot be learnt from: {problem}; write the list as `npedit judge-check` reads it", path.display())]
    Labelled { path: PathBuf, problem: String },
    #[error("interrupted; run the same command again to go on from the last checkpoint")]
    Interrupted,
}

//! Why a run ended early.
use std::{io, path::PathBuf};

use crate::{
    adapters::{AdapterError, AdapterId},
    models::error::LoadError,
    training::{
        checkpoint::CheckpointError, error::TrainingError, guard::Skipped, instruction_set::BadRow,
    },
};

pub type RunResult<T> = Result<T, RunError>;

/// A run cannot begin, or cannot go on. What it wrote before stays.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(
        "the stage {stage} needs {what} in every row:{}\nadd it, or choose another stage",
        list(rows)
    )]
    Rows {
        stage: &'static str,
        what: &'static str,
        rows: Vec<BadRow>,
    },
    #[error(
        "the stages np_edit and flow_grpo ask a judge, and none is named; set model.judge in the recipe, or judge.reference in the settings"
    )]
    NoJudge,
    #[error(
        "no layer of the transformer is named {target:?} or ends in it; its layers are such as {}",
        examples.join(", ")
    )]
    Target {
        target: String,
        examples: Vec<String>,
    },
    #[error(
        "the adapter {adapter} has {}, and the recipe asks for rank {wanted}; {}",
        has.map_or("branches of several ranks".to_owned(), |rank| format!("rank {rank}")),
        has.map_or("train on one of a single rank".to_owned(), |rank| format!("set tuning.rank to {rank}"))
    )]
    Rank {
        adapter: AdapterId,
        /// `None`: not the same everywhere.
        has: Option<usize>,
        wanted: usize,
    },
    #[error(
        "{} holds another run: its {what} differs; choose another --out, or delete the directory",
        path.display()
    )]
    Another { path: PathBuf, what: String },
    #[error("{} is in use by another process; wait for it, stop it, or choose another --out", path.display())]
    Busy { path: PathBuf },
    #[error("cannot write {}: {source}; free space or permissions there and run the same command again", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "gave up at step {step}: {} too many times in a row; {}; lower optimiser.learning_rate or the loss weights in a new run",
        why.map_or_else(String::new, |why| why.to_string()),
        last_good(checkpoint.as_ref())
    )]
    GaveUp {
        step: u64,
        why: Option<Skipped>,
        checkpoint: Option<PathBuf>,
    },
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    #[error("the device refused: {0}; free memory on it, or lower batch.micro")]
    Tensor(#[from] candle_core::Error),
    #[error(
        "a sample picture could not be made: {0}; the run's values are no numbers any more, lower optimiser.learning_rate"
    )]
    Picture(#[from] crate::pipelines::image::ImageError),
}

fn list(rows: &[BadRow]) -> String {
    const SHOWN: usize = 20;
    let mut text: String = rows
        .iter()
        .take(SHOWN)
        .map(|row| format!("\n  {row}"))
        .collect();
    if rows.len() > SHOWN {
        text.push_str(&format!("\n  and {} more", rows.len() - SHOWN));
    }
    text
}

fn last_good(checkpoint: Option<&PathBuf>) -> String {
    match checkpoint {
        Some(path) => format!("the last good checkpoint is {}", path.display()),
        None => "no checkpoint was written yet".into(),
    }
}

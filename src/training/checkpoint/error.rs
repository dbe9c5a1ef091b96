//! Why a checkpoint could not be written or read.
use std::{io, path::PathBuf};

/// A checkpoint that is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(
        "cannot write {}: {source}; the checkpoint before it is intact, free space or permissions there and run the same command again",
        path.display()
    )]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {}: {source}; check its permissions", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is damaged: {problem}; delete it to go on from the one before", path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error(
        "{} is of checkpoint version {found}, this npedit reads {expected}; finish the run with the version that began it",
        path.display()
    )]
    Version {
        path: PathBuf,
        found: String,
        expected: &'static str,
    },
    #[error("the checkpoint has no {name}; it is of another kind of run, choose another --out")]
    Missing { name: String },
    #[error(
        "the checkpoint's {name} has shape {found:?}, this run's {expected:?}; it is of another run, choose another --out"
    )]
    Shape {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("a checkpoint tensor could not be moved: {0}; free memory on the device")]
    Tensor(#[from] candle_core::Error),
}

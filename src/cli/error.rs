//! What ends a command, and with which exit code.
use std::{io, path::PathBuf};

use crate::{
    config::ConfigError,
    models::source::{RefError, SourceError},
};

const FAILED: u8 = 1;
const BAD_INPUT: u8 = 2;
const NO_MODEL: u8 = 3;

/// Everything that a command can end with.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Reference(#[from] RefError),
    #[error("{} is a local path and needs no download; name a model on the hub, as in hf:owner/name", .0.display())]
    NothingToPull(PathBuf),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("cannot write to stdout: {0}")]
    Stdout(#[source] io::Error),
}

impl CliError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Reference(_) | Self::NothingToPull(_) => BAD_INPUT,
            Self::Source(_) => NO_MODEL,
            Self::Stdout(_) => FAILED,
        }
    }
}

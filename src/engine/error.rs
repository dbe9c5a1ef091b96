//! Why the engine gave no images and no scores.
use std::{any::Any, time::Duration};

use crate::{adapters::AdapterSourceError, models::error::LoadError};

use super::{EditError, ImageError, JudgeError, Readiness};

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(
        "{limit} requests wait already, which is the limit; send the request again in {retry_after_secs} s"
    )]
    Overloaded { limit: usize, retry_after_secs: u64 },
    #[error("{}", state.advice())]
    NotReady { state: Readiness },
    #[error(
        "the request was not done within {} s, waiting included; ask for fewer images, steps or items, or send it again later",
        limit.as_secs_f64()
    )]
    DeadlineExceeded { limit: Duration },
    /// The image cannot be used; the caller's to mend.
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(
        "no judge is loaded; the server's operator names one with --judge, or in judge.reference"
    )]
    NoJudge,
    /// Of the pair of images with this index.
    #[error("{source}")]
    Judge {
        item: usize,
        #[source]
        source: JudgeError,
    },
    #[error(transparent)]
    Adapter(#[from] AdapterSourceError),
    #[error(
        "the adapter {name:?} takes {bytes} bytes, {budget} are given to all; use a smaller one, or raise adapters.max_resident_bytes"
    )]
    AdapterTooLarge {
        name: String,
        bytes: usize,
        budget: usize,
    },
    #[error(
        "the generator's weights cannot be hashed, for an adapter that names them: {0}; check the bundle's files"
    )]
    Base(#[source] LoadError),
    #[error("the client left before its request was done; send it again")]
    ClientLeft,
    #[error("panicked: {message}")]
    Panicked { message: String },
    #[error("the engine has stopped; start the server again")]
    Stopped,
}

impl EngineError {
    /// A caught panic, with the text that it carries.
    pub fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let message = text.unwrap_or_else(|| "a panic without a text".to_owned());
        Self::Panicked { message }
    }
}

//! Why the engine gave no images.
use std::{any::Any, time::Duration};

use super::{EditError, ImageError, Readiness};

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(
        "{limit} edits wait already, which is the limit; send the request again in {retry_after_secs} s"
    )]
    Overloaded { limit: usize, retry_after_secs: u64 },
    #[error("{}", state.advice())]
    NotReady { state: Readiness },
    #[error(
        "the edit was not done within {} s, waiting included; ask for fewer images or steps, or send it again later",
        limit.as_secs()
    )]
    DeadlineExceeded { limit: Duration },
    /// The image cannot be used; the caller's to mend.
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Edit(#[from] EditError),
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

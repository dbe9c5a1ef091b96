//! What can go wrong while a request runs.
use super::{image::ImageError, sigmas::SigmasError, text::TextError};

/// A part of the edit lifecycle, for timings, progress and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Preprocess,
    Text,
    Encode,
    Denoise,
    Decode,
    Postprocess,
}

/// An edit that gave no picture.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The picture cannot be used; the caller's to mend.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The step count or the list of sigmas cannot be used; the caller's to mend.
    #[error(transparent)]
    Sigmas(#[from] SigmasError),
    /// The noise given does not fit the picture; the caller's to mend.
    #[error(
        "noise `{tensor}` has shape {found:?}, this edit needs {expected:?}; save it with --save-latents from the same picture, size and steps"
    )]
    NoiseShape {
        tensor: &'static str,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    /// The observer broke off.
    #[error("cancelled after {steps} denoising steps; send the request again to start over")]
    Cancelled { steps: usize },
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("{stage:?} failed: {source}; this is a defect or an exhausted device, see the log")]
    Model {
        stage: Stage,
        #[source]
        source: candle_core::Error,
    },
}

impl EditError {
    /// Puts the stage on a tensor error.
    pub(super) fn at(stage: Stage) -> impl Fn(candle_core::Error) -> Self {
        move |source| Self::Model { stage, source }
    }
}

//! Every error of the layers below, to its one code. No arm is a wildcard: a new variant does not compile without its code.
use super::{Code, FieldError, Problem};
use crate::engine::{EditError, EngineError, ImageError};

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        match error {
            EngineError::Overloaded {
                retry_after_secs, ..
            } => Self::new(Code::Overloaded, detail).retry_after(retry_after_secs),
            EngineError::NotReady { .. } => Self::new(Code::NotReady, detail).retry_after(1),
            EngineError::DeadlineExceeded { .. } => Self::new(Code::DeadlineExceeded, detail),
            EngineError::Image(error) => error.into(),
            EngineError::Edit(error) => error.into(),
            EngineError::NoJudge => Self::new(Code::JudgeNotConfigured, detail),
            // Whoever asks a judge knows which fields it reads, and answers this one itself. A client that left reads nothing.
            EngineError::Judge { .. }
            | EngineError::ClientLeft
            | EngineError::Panicked { .. }
            | EngineError::Stopped => Self::internal(error),
        }
    }
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Image(error) => error.into(),
            EditError::Sigmas(error) => Self::fields(
                Code::InvalidRequest,
                vec![FieldError::new("/steps", error.to_string())],
            ),
            // A cancelled edit has no client, and no client sends noise.
            EditError::Cancelled { .. }
            | EditError::NoiseShape { .. }
            | EditError::Text(_)
            | EditError::Model { .. } => Self::internal(error),
        }
    }
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        Self::image(error, "/image")
    }
}

impl Problem {
    /// An image that cannot be used; `at` is its pointer.
    pub fn image(error: ImageError, at: &str) -> Self {
        let (code, pointer) = match &error {
            ImageError::Empty => (Code::InvalidRequest, at),
            ImageError::TooManyBytes { .. }
            | ImageError::TooManyPixels { .. }
            | ImageError::SideTooLong { .. } => (Code::ImageTooLarge, at),
            ImageError::UnknownFormat { .. }
            | ImageError::Unsupported { .. }
            | ImageError::Animated { .. } => (Code::UnsupportedImageFormat, at),
            ImageError::Truncated { .. } | ImageError::Damaged { .. } => {
                (Code::ImageUndecodable, at)
            }
            ImageError::TooSmall { .. } | ImageError::TooElongated { .. } => {
                (Code::ImageUnusable, at)
            }
            ImageError::BadSize { .. } | ImageError::SizeOutOfRange { .. } => {
                (Code::InvalidRequest, "/size")
            }
            ImageError::UnknownOutputFormat { .. } | ImageError::Encode { .. } => {
                (Code::InvalidRequest, "/output_format")
            }
            ImageError::QualityOutOfRange { .. } | ImageError::QualityWithoutEffect { .. } => {
                (Code::InvalidRequest, "/quality")
            }
            ImageError::NotFinite | ImageError::Tensor(_) => return Self::internal(error),
        };
        Self::fields(code, vec![FieldError::new(pointer, error.to_string())])
    }
}

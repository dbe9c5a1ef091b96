//! Every error of the layers below, to its one code. No arm is a wildcard: a new variant does not compile without its code.
use super::{Code, FieldError, Problem};
use crate::{
    adapters::{AdapterError, AdapterSourceError},
    engine::{EditError, EngineError, ImageError},
};

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
            EngineError::Adapter(error) => error.into(),
            EngineError::AdapterTooLarge { .. } => Self::adapter(Code::AdapterUnusable, detail),
            EngineError::NoJudge => Self::new(Code::JudgeNotConfigured, detail),
            // Whoever asks a judge knows which fields it reads, and answers this one itself. A client that left reads nothing.
            EngineError::Judge { .. }
            | EngineError::Base(_)
            | EngineError::ClientLeft
            | EngineError::Panicked { .. }
            | EngineError::Stopped => Self::internal(error),
        }
    }
}

impl From<AdapterSourceError> for Problem {
    fn from(error: AdapterSourceError) -> Self {
        let detail = error.to_string();
        match error {
            AdapterSourceError::Unknown { .. } => Self::adapter(Code::AdapterNotFound, detail),
            AdapterSourceError::Unusable { source, .. } => Self::unusable_adapter(&source, detail),
            AdapterSourceError::Unavailable { source } => {
                tracing::error!(error = %source, "the adapters cannot be reached");
                let detail = "The adapters cannot be reached; send the request again in a moment.";
                Self::new(Code::StorageUnavailable, detail).retry_after(1)
            }
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
    fn adapter(code: Code, message: String) -> Self {
        Self::fields(code, vec![FieldError::new("/adapter", message)])
    }

    /// Says what does not fit; where the adapter lies is for the log alone.
    fn unusable_adapter(error: &AdapterError, message: String) -> Self {
        let message = match error {
            AdapterError::Factor { .. } => {
                let refused = FieldError::new("/adapter_scale", error.to_string());
                return Self::fields(Code::InvalidRequest, vec![refused]);
            }
            AdapterError::Shape { .. }
            | AdapterError::UnknownModule { .. }
            | AdapterError::Base { .. }
            | AdapterError::Unsupported { .. } => message,
            AdapterError::Read { .. }
            | AdapterError::NotAnAdapter { .. }
            | AdapterError::Safetensors { .. }
            | AdapterError::Json { .. }
            | AdapterError::Setting { .. }
            | AdapterError::UnknownTensor { .. }
            | AdapterError::Mixed { .. }
            | AdapterError::Twice { .. }
            | AdapterError::HalfPair { .. }
            | AdapterError::Empty
            | AdapterError::Ranks { .. }
            | AdapterError::RankSetting { .. }
            | AdapterError::Alpha { .. }
            | AdapterError::Dtype { .. }
            | AdapterError::Write { .. }
            | AdapterError::Tensor { .. } => {
                tracing::warn!(%error, "an adapter cannot be used");
                "its files cannot be used; the server's operator finds the cause in the log".into()
            }
        };
        Self::adapter(Code::AdapterUnusable, message)
    }

    /// The engine's error about an image whose pointer is `at`.
    pub fn of_image(error: EngineError, at: &str) -> Self {
        match error {
            EngineError::Image(error) => Self::image(error, at),
            other => other.into(),
        }
    }

    /// An image that cannot be used; `at` is its pointer.
    pub fn image(error: ImageError, at: &str) -> Self {
        let (code, pointer) = match &error {
            ImageError::Empty => (Code::InvalidRequest, at),
            ImageError::TooManyBytes { .. }
            | ImageError::TooManyPixels { .. }
            | ImageError::SideTooLong { .. } => (Code::ImageTooLarge, at),
            ImageError::UnknownFormat { .. }
            | ImageError::Unsupported { .. }
            | ImageError::MaskFormat
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

//! Why a row got no answer, and why no model can be asked.

/// No answer about a row. The messages are shown with the row, and say nothing of where the model is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptionError {
    #[error("the model could not be reached")]
    Unreachable,
    #[error("the model did not answer within {secs} s (captions.timeout_secs)")]
    TimedOut { secs: u64 },
    #[error("the model's server answered {status}")]
    Refused { status: u16 },
    #[error("the model's answer is not the JSON that was asked for; it begins {start:?}")]
    Unreadable { start: String },
    #[error("the picture could not be prepared for the model")]
    Picture,
    #[error("not asked: the model failed {rows} rows in a row")]
    GaveUp { rows: usize },
    #[error("not asked in time: a set waits {secs} s (captions.max_wait_secs)")]
    NoTimeLeft { secs: u64 },
}

/// Letters of an answer that are repeated in a message.
const START_CHARS: usize = 120;

impl CaptionError {
    pub(super) fn unreadable(answer: &str) -> Self {
        Self::Unreadable {
            start: answer.trim().chars().take(START_CHARS).collect(),
        }
    }

    /// Whether the same request may succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable => true,
            Self::Refused { status } => *status == 429 || *status >= 500,
            Self::TimedOut { .. }
            | Self::Unreadable { .. }
            | Self::Picture
            | Self::GaveUp { .. }
            | Self::NoTimeLeft { .. } => false,
        }
    }

    /// Whether it tells of the server rather than of one row.
    pub(super) fn is_of_server(&self) -> bool {
        match self {
            Self::Unreachable | Self::TimedOut { .. } | Self::Refused { .. } => true,
            Self::Unreadable { .. }
            | Self::Picture
            | Self::GaveUp { .. }
            | Self::NoTimeLeft { .. } => false,
        }
    }
}

/// The settings cannot be used. No message has the key.
#[derive(Debug, thiserror::Error)]
pub enum CaptionSetupError {
    #[error("the API key is empty, or has characters that no HTTP header can have")]
    Key,
    #[error("{0}; check the system's certificates")]
    Client(#[from] reqwest::Error),
}

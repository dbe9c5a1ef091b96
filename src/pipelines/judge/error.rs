//! Why there is no score.
use crate::models::vlm::PromptError;

/// An edit that was not judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The question cannot be put; the caller's to mend.
    #[error("{source}")]
    Prompt {
        question: String,
        #[source]
        source: PromptError,
    },
    /// The caller's to mend.
    #[error(
        "a question is {tokens} tokens with its pictures, this judge reads {limit}; shorten it"
    )]
    TooLong {
        question: String,
        tokens: usize,
        limit: usize,
    },
    /// The caller's to mend.
    #[error(
        "the {picture} picture is {width}x{height}, and this judge sees nothing in sides below {smallest} px; send a larger picture"
    )]
    TooSmall {
        picture: &'static str,
        width: usize,
        height: usize,
        smallest: usize,
    },
    /// The caller's to mend.
    #[error(
        "the {picture} picture is {width}x{height}, and this judge sees pictures of up to {limit} times one side; crop it"
    )]
    TooLongAndThin {
        picture: &'static str,
        width: usize,
        height: usize,
        limit: usize,
    },
    #[error("the judge gave an answer that is not a number; check its weights and its dtype")]
    NotFinite,
    #[error("judging failed: {0}; this is a defect or an exhausted device, see the log")]
    Model(#[from] candle_core::Error),
}

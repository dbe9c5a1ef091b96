//! Why a request is not taken, to its code. No arm is a wildcard.
use super::{Code, Problem};
use crate::access::AccessError;

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let detail = error.to_string();
        match error {
            AccessError::Missing => Self::new(Code::MissingApiKey, detail),
            AccessError::Invalid => Self::new(Code::InvalidApiKey, detail),
            AccessError::Scope { .. } => Self::new(Code::InsufficientScope, detail),
            AccessError::Rate(limited) => {
                Self::new(Code::RateLimitExceeded, detail).retry_after(limited.retry_after_secs)
            }
            AccessError::Concurrency { .. } => {
                Self::new(Code::ConcurrencyLimitExceeded, detail).retry_after(1)
            }
            AccessError::Storage(error) => error.into(),
        }
    }
}

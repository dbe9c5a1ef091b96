//! Why a request is not taken.
use super::{Limited, Scope, StorageError};

/// Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error(
        "This server asks for a key; send it as Authorization: Bearer npe_... (the operator makes one with npedit key create)."
    )]
    Missing,
    #[error(
        "The key is unknown or revoked, or Authorization is not Bearer and a key; send another one, or ask the operator for it."
    )]
    Invalid,
    #[error(
        "The key lacks the scope {}; use one that has it, or ask the operator for it.",
        scope.name()
    )]
    Scope { scope: Scope },
    #[error(
        "The key has sent its {} requests of this minute; wait {} s (auth.requests_per_minute sets the limit).",
        .0.allowance.limit,
        .0.retry_after_secs
    )]
    Rate(Limited),
    #[error(
        "{max} requests of this key run already; wait until one is answered (auth.max_concurrent sets the limit)."
    )]
    Concurrency { max: usize },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

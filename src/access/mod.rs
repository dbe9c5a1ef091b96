//! Who asks, what they may do, and how much of it at a time.
//!
//! A key is 256 random bits, shown once and kept as its SHA-256: a hash of so much chance cannot be searched for, so it needs no
//! salt and no slow function, and looking it up by its hash tells nothing of the key by its time.
mod caller;
mod error;
mod gate;
mod keys;
mod limits;
mod remembered;
mod secret;

pub use self::{
    caller::{Caller, Scopes},
    error::AccessError,
    gate::{Access, Presented},
    keys::{KeyRow, Keys, NewKey},
    limits::{Allowance, Limited, Limits, Slot},
    secret::Secret,
};
pub use crate::{
    config::Scope,
    storage::{StorageError, Viewer},
};

#[cfg(test)]
mod tests;

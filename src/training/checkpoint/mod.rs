//! Everything that a run needs to go on, in one file: versioned, hashed, and either whole or absent.
mod directory;
mod error;
mod state;

pub use self::{
    directory::{CheckpointDirectory, Found},
    error::CheckpointError,
    state::State,
};

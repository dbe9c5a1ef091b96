//! Adapters: low-rank branches of a transformer as values, and the files that other programs keep them in.
//!
//! An [`Adapter`] never changes; its [`AdapterId`] is the same whichever program's layout it was read from.
mod adapter;
mod aliases;
mod container;
mod directory;
mod durable;
mod error;
mod fit;
mod id;
mod layout;
mod lora_config;
mod names;
mod placed;
mod read;
mod registry;
mod registry_source;
mod registry_sweep;
mod source;
mod write;

pub use crate::storage::Viewer;
pub use adapter::{Adapter, AdapterConfig, Pair, Scaling};
pub use aliases::Alias;
pub use directory::AdapterDirectory;
pub use error::AdapterError;
pub use id::AdapterId;
pub use layout::Layout;
pub use placed::PlacedAdapter;
pub use read::{Found, read};
pub use registry::{Download, Entry, Registry, RegistryError};
pub use registry_source::RegistrySource;
pub use source::{AdapterSource, AdapterSourceError, NoAdapters};
pub use write::{Target, write};

#[cfg(test)]
mod tests;

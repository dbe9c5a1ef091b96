//! Where a service finds the adapters that requests name.
use std::fmt;

use super::{Adapter, AdapterError, AdapterId, Viewer};

/// Finds adapters by name, alias or id. Blocks: not for async tasks.
pub trait AdapterSource: fmt::Debug + Send + Sync + 'static {
    /// The id that a name, an alias or an id stands for now, where `viewer` may see it.
    ///
    /// # Errors
    /// [`AdapterSourceError::Unknown`] where nothing is called that.
    fn resolve(&self, viewer: &Viewer, name: &str) -> Result<AdapterId, AdapterSourceError>;

    /// The adapter of an id that [`AdapterSource::resolve`] gave.
    ///
    /// # Errors
    /// It has gone since, or cannot be used.
    fn read(&self, id: &AdapterId) -> Result<Adapter, AdapterSourceError>;
}

/// A source of no adapters.
#[derive(Debug, Clone, Copy)]
pub struct NoAdapters;

impl AdapterSource for NoAdapters {
    fn resolve(&self, _: &Viewer, name: &str) -> Result<AdapterId, AdapterSourceError> {
        Err(AdapterSourceError::Unknown { name: name.into() })
    }

    fn read(&self, id: &AdapterId) -> Result<Adapter, AdapterSourceError> {
        Err(AdapterSourceError::Unknown {
            name: id.to_string(),
        })
    }
}

/// Why a named adapter cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AdapterSourceError {
    #[error("no adapter is called {name:?} here; name another, or ask the operator to add it")]
    Unknown { name: String },
    #[error("the adapter {name:?} cannot be used: {source}")]
    Unusable {
        name: String,
        #[source]
        source: AdapterError,
    },
    #[error("the adapters cannot be reached: {source}; try again in a moment")]
    Unavailable {
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

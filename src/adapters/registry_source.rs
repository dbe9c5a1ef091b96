//! The registry where edits look adapters up by name, before another source.
use std::sync::Arc;

use tokio::runtime::Handle;

use super::{
    Adapter, AdapterId, AdapterSource, AdapterSourceError, Registry, RegistryError, Viewer,
};

/// Ids and aliases of the registry; what it does not know is asked of `other`. To be called outside of async tasks.
#[derive(Debug)]
pub struct RegistrySource {
    pub registry: Registry,
    pub runtime: Handle,
    pub other: Arc<dyn AdapterSource>,
}

impl AdapterSource for RegistrySource {
    fn resolve(&self, viewer: &Viewer, name: &str) -> Result<AdapterId, AdapterSourceError> {
        let entry = self.runtime.block_on(self.registry.entry(viewer, name));
        let known = entry.map(|entry| AdapterId::parse(&entry.id));
        match known {
            Ok(Some(id)) => Ok(id),
            Ok(None) | Err(RegistryError::Unknown { .. }) => self.other.resolve(viewer, name),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn read(&self, id: &AdapterId) -> Result<Adapter, AdapterSourceError> {
        match self.runtime.block_on(self.registry.adapter(id.as_str())) {
            Ok(adapter) => Ok(adapter),
            Err(RegistryError::Unknown { .. }) => self.other.read(id),
            Err(RegistryError::Adapter(source)) => Err(AdapterSourceError::Unusable {
                name: id.to_string(),
                source,
            }),
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn unavailable(error: RegistryError) -> AdapterSourceError {
    AdapterSourceError::Unavailable {
        source: error.into(),
    }
}

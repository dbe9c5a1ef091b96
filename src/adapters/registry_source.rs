//! The registry where edits look adapters up by name, before another source.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::runtime::Handle;

use super::{
    Adapter, AdapterId, AdapterSource, AdapterSourceError, Registry, RegistryError, Viewer,
};

/// Ids and aliases of the registry; what it does not know is asked of `other`. To be called outside of async tasks.
#[derive(Debug)]
pub struct RegistrySource {
    registry: Registry,
    runtime: Handle,
    other: Arc<dyn AdapterSource>,
    /// What names stood for when they were last asked for: edits go on with it while the database is away.
    last: Mutex<HashMap<Asked, AdapterId>>,
}

/// Owner, whether it is an admin, and the name that it asked for: what one sees another may not.
type Asked = (String, bool, String);

impl RegistrySource {
    pub fn new(registry: Registry, runtime: Handle, other: Arc<dyn AdapterSource>) -> Self {
        Self {
            registry,
            runtime,
            other,
            last: Mutex::default(),
        }
    }
}

impl AdapterSource for RegistrySource {
    fn resolve(&self, viewer: &Viewer, name: &str) -> Result<AdapterId, AdapterSourceError> {
        let entry = self.runtime.block_on(self.registry.entry(viewer, name));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = (viewer.name().to_owned(), viewer.is_admin(), name.to_owned());
        let known = entry.map(|entry| AdapterId::parse(&entry.id));
        match known {
            Ok(Some(id)) => {
                last.insert(asked, id.clone());
                Ok(id)
            }
            Ok(None) | Err(RegistryError::Unknown { .. }) => {
                last.remove(&asked);
                self.other.resolve(viewer, name)
            }
            Err(error) => last.get(&asked).cloned().ok_or_else(|| unavailable(error)),
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

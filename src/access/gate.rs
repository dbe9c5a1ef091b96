//! From what a request presents to who sent it.
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::{
    AccessError, Allowance, Caller, Keys, Limits, Scopes, Secret, StorageError, Viewer,
    remembered::Remembered,
};
use crate::{
    config::{Auth, ConfiguredKey},
    storage::Database,
};

/// Who may use the service; a cheap handle.
#[derive(Clone, Debug)]
pub struct Access(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// By their hash.
    configured: HashMap<String, ConfiguredKey>,
    keys: Keys,
    allow_anonymous: bool,
    limits: Limits,
    /// Whether a key was seen in the database: none ever leaves it.
    seen: AtomicBool,
    remembered: Remembered,
}

/// What stands in `Authorization`.
#[derive(Debug)]
pub enum Presented {
    Nothing,
    Key(Secret),
    /// Another scheme, or no text.
    Other,
}

impl Access {
    pub fn new(settings: &Auth, database: Database) -> Self {
        let configured = settings.keys.iter();
        Self(Arc::new(Shared {
            configured: configured
                .map(|key| (key.sha256.clone(), key.clone()))
                .collect(),
            keys: Keys::new(database),
            allow_anonymous: settings.allow_anonymous,
            limits: Limits::new(settings.requests_per_minute, settings.max_concurrent),
            seen: AtomicBool::new(false),
            remembered: Remembered::default(),
        }))
    }

    /// Whether there are keys, revoked ones too, in the settings or the database.
    ///
    /// # Errors
    /// No database.
    pub async fn has_keys(&self) -> Result<bool, StorageError> {
        let shared = &self.0;
        if !shared.configured.is_empty() || shared.seen.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let exist = shared.remembered.exist(shared.keys.exist().await)?;
        shared.seen.store(exist, Ordering::Relaxed);
        Ok(exist)
    }

    /// Whether requests without a key are taken although there are keys, or others can reach the service.
    pub fn allows_anonymous(&self) -> bool {
        self.0.allow_anonymous
    }

    /// Who presents that. Where there are no keys, nothing that is presented matters: clients that must send one can send any.
    ///
    /// # Errors
    /// [`AccessError::Missing`], [`AccessError::Invalid`], or no database.
    pub async fn caller(&self, presented: &Presented) -> Result<Caller, AccessError> {
        let found = match presented {
            Presented::Nothing if self.0.allow_anonymous => return Ok(self.anonymous()),
            Presented::Nothing | Presented::Other => None,
            Presented::Key(secret) => self.find(secret).await?,
        };
        match (found, presented) {
            (Some(caller), _) => Ok(caller),
            (None, _) if !self.has_keys().await? => Ok(self.anonymous()),
            (None, Presented::Nothing) => Err(AccessError::Missing),
            (None, Presented::Key(_) | Presented::Other) => Err(AccessError::Invalid),
        }
    }

    /// Whoever has no key. Where the settings do not invite everybody, only this machine gets here, and there are no keys.
    fn anonymous(&self) -> Caller {
        let scopes = match self.0.allow_anonymous {
            true => Scopes::anonymous(),
            false => Scopes::alone(),
        };
        Caller::new(Viewer::default().name(), scopes)
    }

    async fn find(&self, secret: &Secret) -> Result<Option<Caller>, StorageError> {
        let hash = secret.hash();
        if let Some(key) = self.0.configured.get(&hash) {
            let scopes = Scopes::new(key.scopes.clone());
            return Ok(Some(Caller::new(&key.name, scopes)));
        }
        let found = self.0.keys.find(&hash).await;
        let found = self.0.remembered.key(&hash, found)?;
        Ok(found.map(|key| Caller::new(&key.name, key.scopes)))
    }

    /// Counts a request of the caller.
    ///
    /// # Errors
    /// [`AccessError::Rate`].
    pub fn count(&self, caller: &Caller) -> Result<Option<Allowance>, AccessError> {
        self.0.limits.count(caller.viewer.name(), Instant::now())
    }

    /// Gives the caller a place among its requests that run.
    ///
    /// # Errors
    /// [`AccessError::Concurrency`].
    pub fn enter(&self, caller: Caller) -> Result<Caller, AccessError> {
        let slot = self.0.limits.enter(caller.viewer.name())?;
        Ok(caller.with(slot))
    }
}

//! Adapters that requests name: loaded beside the device thread, kept within a byte budget.
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use super::EngineError;
use crate::{
    adapters::{AdapterError, AdapterId, AdapterSource, AdapterSourceError, PlacedAdapter, Viewer},
    models::error::LoadError,
    nn::Compute,
    pipelines::byte_lru::ByteLru,
};

/// A loaded adapter, and how strongly it acts. A request holds its own until it is answered.
#[derive(Clone, Debug)]
pub struct AppliedAdapter {
    pub adapter: Arc<PlacedAdapter>,
    /// 1 is as strong as it was trained.
    pub scale: f64,
}

impl PartialEq for AppliedAdapter {
    fn eq(&self, other: &Self) -> bool {
        self.adapter.id() == other.adapter.id() && self.scale.to_bits() == other.scale.to_bits()
    }
}

/// The generator's weights as an adapter names them, read when one asks.
type Hash = dyn Fn() -> Result<String, LoadError> + Send + Sync;

/// What an adapter must fit.
pub struct AdapterBase {
    /// `[out, in]` of every linear layer of the generator that takes a branch, by module.
    pub shapes: BTreeMap<String, [usize; 2]>,
    /// Where the generator computes.
    pub compute: Compute,
    hash: Box<Hash>,
    sha256: OnceLock<String>,
}

impl AdapterBase {
    /// `hash` answers the SHA-256 of the generator's weights; it is called once, and only where an adapter names its base.
    pub fn new(
        shapes: BTreeMap<String, [usize; 2]>,
        compute: Compute,
        hash: impl Fn() -> Result<String, LoadError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            shapes,
            compute,
            hash: Box::new(hash),
            sha256: OnceLock::new(),
        }
    }

    fn sha256(&self) -> Result<&str, LoadError> {
        if let Some(known) = self.sha256.get() {
            return Ok(known);
        }
        let read = (self.hash)()?;
        Ok(self.sha256.get_or_init(|| read))
    }
}

impl fmt::Debug for AdapterBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdapterBase")
            .field("modules", &self.shapes.len())
            .finish_non_exhaustive()
    }
}

/// The adapters that are loaded, and where others come from.
#[derive(Debug)]
pub(super) struct Adapters {
    source: Arc<dyn AdapterSource>,
    budget: usize,
    kept: Mutex<ByteLru<AdapterId, Arc<PlacedAdapter>>>,
    /// One adapter is loaded at a time.
    loading: Mutex<()>,
}

impl Adapters {
    pub fn new(source: Arc<dyn AdapterSource>, budget: usize) -> Self {
        Self {
            source,
            budget,
            kept: Mutex::new(ByteLru::new(budget)),
            loading: Mutex::default(),
        }
    }

    /// The adapter that `name` stands for now. Blocks while it is read.
    pub fn get(
        &self,
        viewer: &Viewer,
        name: &str,
        scale: f64,
        base: &AdapterBase,
    ) -> Result<AppliedAdapter, EngineError> {
        let id = self.source.resolve(viewer, name)?;
        let kept = self.kept().get(&id);
        let adapter = match kept {
            Some(adapter) => adapter,
            None => self.load(name, &id, base)?,
        };
        let unusable = |source| AdapterSourceError::Unusable {
            name: name.into(),
            source,
        };
        adapter.branches(scale).map_err(unusable)?;
        Ok(AppliedAdapter { adapter, scale })
    }

    fn load(
        &self,
        name: &str,
        id: &AdapterId,
        base: &AdapterBase,
    ) -> Result<Arc<PlacedAdapter>, EngineError> {
        let _turn = lock(&self.loading);
        if let Some(loaded) = self.kept().get(id) {
            return Ok(loaded);
        }
        let start = Instant::now();
        let adapter = self.source.read(id)?;
        let unusable = |source: AdapterError| AdapterSourceError::Unusable {
            name: name.into(),
            source,
        };
        if adapter.config().base.is_some() {
            let sha256 = base.sha256().map_err(EngineError::Base)?;
            adapter.check_base(sha256).map_err(unusable)?;
        }
        adapter.check_shapes(&base.shapes).map_err(unusable)?;
        let placed = Arc::new(adapter.placed(&base.compute).map_err(unusable)?);
        let bytes = placed.bytes();
        if bytes > self.budget {
            return Err(EngineError::AdapterTooLarge {
                name: name.into(),
                bytes,
                budget: self.budget,
            });
        }
        let mut kept = self.kept();
        kept.insert(id.clone(), placed.clone(), bytes);
        metrics::gauge!("adapter_resident").set(kept.count() as f64);
        metrics::gauge!("adapter_resident_bytes").set(kept.bytes() as f64);
        drop(kept);
        metrics::histogram!("adapter_load_seconds").record(start.elapsed());
        tracing::info!(adapter = name, sha256 = %id, bytes, "an adapter is loaded");
        Ok(placed)
    }

    fn kept(&self) -> MutexGuard<'_, ByteLru<AdapterId, Arc<PlacedAdapter>>> {
        lock(&self.kept)
    }
}

/// What is behind the lock is whole after a panic: nothing is changed in parts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

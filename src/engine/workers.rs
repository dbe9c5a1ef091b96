//! Blocking work beside the device thread, a bounded number at a time.
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::EngineError;

#[derive(Clone, Debug)]
pub(super) struct Workers(Arc<Semaphore>);

impl Workers {
    /// At most `count` (at least 1) at a time.
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.max(1))))
    }

    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let place = self.0.clone().acquire_owned().await;
        let place = place.map_err(|_| EngineError::Stopped)?;
        // The place goes with the work: work whose caller left still counts until it ends.
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        task.await.map_err(|error| match error.try_into_panic() {
            Ok(payload) => EngineError::panicked(&*payload),
            Err(_) => EngineError::Stopped,
        })
    }
}

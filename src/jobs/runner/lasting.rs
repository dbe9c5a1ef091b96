//! Storage that is gone for a while.
use std::time::{Duration, Instant};

use crate::jobs::{JobError, JobResult};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An outage that lasts longer ends the attempt.
const OUTAGE: Duration = Duration::from_secs(180);

/// `work`, again and again until it succeeds, fails for good, or the outage lasts too long.
pub(super) async fn lasting<T>(work: impl AsyncFn() -> JobResult<T>) -> JobResult<T> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match work().await {
            Err(JobError::Storage(error)) if error.is_passing() && begun.elapsed() < OUTAGE => {
                tracing::warn!(%error, "storage is away; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            done => return done,
        }
    }
}

//! How many requests an owner may send in a minute and have at once.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::AccessError;

const MINUTE_SECS: f64 = 60.0;

/// Buckets of tokens, one an owner: a request takes one, and a minute fills a bucket.
#[derive(Clone, Debug)]
pub struct Limits {
    /// 0 is without limit.
    per_minute: u32,
    /// 0 is without limit.
    max_concurrent: usize,
    owners: Arc<Mutex<HashMap<String, Usage>>>,
}

#[derive(Debug)]
struct Usage {
    tokens: f64,
    filled: Instant,
    running: usize,
}

/// What is left of a minute's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub limit: u32,
    pub remaining: u32,
    /// Seconds until the limit is whole again.
    pub reset_secs: u64,
}

/// Nothing is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    pub allowance: Allowance,
    pub retry_after_secs: u64,
}

/// A place among the running requests of an owner; free again when dropped.
#[derive(Debug)]
pub struct Slot {
    limits: Limits,
    owner: String,
}

impl Limits {
    pub fn new(per_minute: u32, max_concurrent: usize) -> Self {
        Self {
            per_minute,
            max_concurrent,
            owners: Arc::default(),
        }
    }

    /// Counts a request at the time `now`; `None` where nothing is limited.
    ///
    /// # Errors
    /// [`AccessError::Rate`].
    pub fn count(&self, owner: &str, now: Instant) -> Result<Option<Allowance>, AccessError> {
        if self.per_minute == 0 {
            return Ok(None);
        }
        let full = f64::from(self.per_minute);
        let per_sec = full / MINUTE_SECS;
        let mut owners = self.lock();
        let usage = self.usage(&mut owners, owner, now);
        let since = now.saturating_duration_since(usage.filled).as_secs_f64();
        usage.tokens = (usage.tokens + since * per_sec).min(full);
        usage.filled = now;
        let taken = usage.tokens >= 1.0;
        if taken {
            usage.tokens -= 1.0;
        }
        let allowance = Allowance {
            limit: self.per_minute,
            remaining: usage.tokens as u32,
            reset_secs: ((full - usage.tokens) / per_sec).ceil() as u64,
        };
        match taken {
            true => Ok(Some(allowance)),
            false => Err(AccessError::Rate(Limited {
                allowance,
                retry_after_secs: (((1.0 - usage.tokens) / per_sec).ceil() as u64).max(1),
            })),
        }
    }

    /// A place for a request; `None` where nothing is limited.
    ///
    /// # Errors
    /// [`AccessError::Concurrency`].
    pub fn enter(&self, owner: &str) -> Result<Option<Slot>, AccessError> {
        let max = self.max_concurrent;
        if max == 0 {
            return Ok(None);
        }
        let mut owners = self.lock();
        let usage = self.usage(&mut owners, owner, Instant::now());
        if usage.running >= max {
            return Err(AccessError::Concurrency { max });
        }
        usage.running += 1;
        Ok(Some(Slot {
            limits: self.clone(),
            owner: owner.to_owned(),
        }))
    }

    fn usage<'a>(
        &self,
        owners: &'a mut HashMap<String, Usage>,
        owner: &str,
        now: Instant,
    ) -> &'a mut Usage {
        owners.entry(owner.to_owned()).or_insert_with(|| Usage {
            tokens: f64::from(self.per_minute),
            filled: now,
            running: 0,
        })
    }

    /// Whole after a panic: nothing is changed in parts.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Usage>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(usage) = self.limits.lock().get_mut(&self.owner) {
            usage.running -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn retry_after(refused: Result<Option<Allowance>, AccessError>) -> u64 {
        match refused {
            Err(AccessError::Rate(limited)) => limited.retry_after_secs,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_minute_fills_a_bucket_and_owners_do_not_share() {
        let limits = Limits::new(3, 0);
        let start = Instant::now();
        for remaining in [2, 1, 0] {
            let left = limits.count("a", start).unwrap().unwrap();
            assert_eq!((left.limit, left.remaining), (3, remaining));
        }
        assert_eq!(retry_after(limits.count("a", start)), 20);
        assert!(limits.count("b", start).is_ok());
        let soon = start + Duration::from_millis(19_000);
        assert_eq!(retry_after(limits.count("a", soon)), 1);
        let later = start + Duration::from_millis(20_100);
        assert_eq!(limits.count("a", later).unwrap().unwrap().reset_secs, 60);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!(limits.count("a", much_later).unwrap().unwrap().remaining, 2);
        assert_eq!(Limits::new(0, 0).count("a", start).unwrap(), None);
    }

    #[test]
    fn a_place_is_free_again_when_its_request_is_over() {
        let limits = Limits::new(0, 2);
        let first = limits.enter("a").unwrap();
        let _second = limits.enter("a").unwrap();
        assert!(matches!(
            limits.enter("a"),
            Err(AccessError::Concurrency { max: 2 })
        ));
        assert!(limits.enter("b").is_ok());
        drop(first);
        assert!(limits.enter("a").unwrap().is_some());
        assert!(Limits::new(0, 0).enter("a").unwrap().is_none());
    }
}

//! The bounded queue in front of the device, and how long it takes to drain.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::EngineError;

/// Share of the newest request in the running mean.
const NEWEST_SHARE: f64 = 0.3;
/// OpenAI's clients give up on longer waits.
const RETRY_AFTER_SECS: std::ops::RangeInclusive<u64> = 1..=120;

#[derive(Clone, Debug)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    /// Waiting requests and the running one.
    capacity: usize,
    edit_timeout: Duration,
    /// Running mean of a request's time on the device, in seconds; none before the first.
    mean_secs: Arc<Mutex<Option<f64>>>,
}

/// A place in the queue; free again when dropped.
#[derive(Debug)]
pub struct Permit {
    _place: OwnedSemaphorePermit,
    deadline: Instant,
}

impl Permit {
    /// When the request must be answered.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Admission {
    pub fn new(queue_depth: usize, edit_timeout: Duration) -> Self {
        let capacity = queue_depth + 1;
        Self {
            places: Arc::new(Semaphore::new(capacity)),
            capacity,
            edit_timeout,
            mean_secs: Arc::default(),
        }
    }

    pub fn admit(&self) -> Result<Permit, EngineError> {
        match self.places.clone().try_acquire_owned() {
            Ok(place) => Ok(Permit {
                _place: place,
                deadline: Instant::now() + self.edit_timeout,
            }),
            Err(_) => Err(EngineError::Overloaded {
                limit: self.capacity - 1,
                retry_after_secs: self.retry_after_secs(),
            }),
        }
    }

    /// Takes note of how long a request held the device.
    pub fn record(&self, took: Duration) {
        let mut mean = self
            .mean_secs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let secs = took.as_secs_f64();
        *mean = Some(match *mean {
            None => secs,
            Some(mean) => mean + NEWEST_SHARE * (secs - mean),
        });
    }

    /// Time to work off everything admitted.
    fn retry_after_secs(&self) -> u64 {
        let mean = self
            .mean_secs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let secs = mean.unwrap_or_default() * self.capacity as f64;
        (secs.ceil() as u64).clamp(*RETRY_AFTER_SECS.start(), *RETRY_AFTER_SECS.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(admission: &Admission) -> u64 {
        match admission.admit() {
            Err(EngineError::Overloaded {
                retry_after_secs, ..
            }) => retry_after_secs,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_full_queue_refuses_until_a_place_is_free() {
        let admission = Admission::new(1, Duration::from_secs(1));
        let (first, _second) = (admission.admit().unwrap(), admission.admit().unwrap());
        assert_eq!(refused(&admission), 1);
        drop(first);
        assert!(admission.admit().is_ok());
    }

    #[test]
    fn the_wait_is_measured_and_stays_within_what_clients_obey() {
        let admission = Admission::new(1, Duration::from_secs(1));
        let _places = (admission.admit().unwrap(), admission.admit().unwrap());
        admission.record(Duration::from_secs(10));
        assert_eq!(refused(&admission), 20);
        admission.record(Duration::from_secs(20));
        assert_eq!(refused(&admission), 26);
        admission.record(Duration::from_secs(10_000));
        assert_eq!(refused(&admission), 120);
    }
}

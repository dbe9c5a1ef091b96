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
    _inflight: Inflight,
    _place: OwnedSemaphorePermit,
    deadline: Deadline,
}

/// Counts a request for as long as it lives.
#[derive(Debug)]
struct Inflight;

impl Inflight {
    fn new() -> Self {
        metrics::gauge!("edit_inflight").increment(1.0);
        Self
    }
}

impl Drop for Inflight {
    fn drop(&mut self) {
        metrics::gauge!("edit_inflight").decrement(1.0);
    }
}

/// When a request must be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub at: Instant,
    /// From admission.
    pub limit: Duration,
}

impl Permit {
    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The same place for a client that waits no longer than `limit`; never longer than without it.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        let Deadline { at, limit: longest } = self.deadline;
        let limit = limit.min(longest);
        let deadline = Deadline {
            at: at - (longest - limit),
            limit,
        };
        Self { deadline, ..self }
    }
}

impl Admission {
    pub fn new(queue_depth: usize, edit_timeout: Duration) -> Self {
        let capacity = queue_depth + 1;
        metrics::gauge!("edit_queue_capacity").set(capacity as f64);
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
                _inflight: Inflight::new(),
                _place: place,
                deadline: Deadline {
                    at: Instant::now() + self.edit_timeout,
                    limit: self.edit_timeout,
                },
            }),
            Err(_) => {
                metrics::counter!("edit_rejected_total", "reason" => "queue_full").increment(1);
                Err(EngineError::Overloaded {
                    limit: self.capacity - 1,
                    retry_after_secs: self.retry_after_secs(),
                })
            }
        }
    }

    /// Requests with a place: waiting, running, or still on their way to the device.
    pub fn admitted(&self) -> usize {
        self.capacity - self.places.available_permits()
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
    fn a_client_shortens_its_own_deadline_alone() {
        let admission = Admission::new(1, Duration::from_secs(10));
        let longer = admission.admit().unwrap().within(Duration::from_secs(60));
        assert_eq!(longer.deadline().limit, Duration::from_secs(10));
        let shorter = admission.admit().unwrap().within(Duration::from_secs(2));
        assert_eq!(shorter.deadline().limit, Duration::from_secs(2));
        let left = shorter.deadline().at - Instant::now();
        assert!(left <= Duration::from_secs(2), "{left:?}");
        assert_eq!(admission.admitted(), 2);
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

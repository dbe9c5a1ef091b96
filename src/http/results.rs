//! Answers that are kept for clients that did not wait for them.
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::{Bytes, to_bytes},
    http::HeaderMap,
    response::Response,
};
use tokio::task::AbortHandle;

use super::problem::Problem;
use crate::access::Viewer;

/// Answers by the id of their edit, each for a time, all together within a byte budget.
#[derive(Debug)]
pub struct Results {
    kept: Mutex<HashMap<String, Kept>>,
    ttl: Duration,
    max_bytes: usize,
}

#[derive(Debug)]
struct Kept {
    owner: String,
    state: State,
    expires: Instant,
}

#[derive(Clone, Debug)]
pub enum State {
    /// Aborting it cancels the edit.
    Running(AbortHandle),
    Done(HeaderMap, Bytes),
    Failed(Problem),
}

impl Results {
    pub fn new(ttl: Duration, max_bytes: usize) -> Self {
        Self {
            kept: Mutex::default(),
            ttl,
            max_bytes,
        }
    }

    /// Notes an edit that has begun.
    pub fn begin(&self, id: &str, owner: &str, work: AbortHandle) {
        self.put(id, owner.to_owned(), State::Running(work));
    }

    /// Keeps what has become of an edit, unless its client took it back.
    pub async fn finish(&self, id: &str, answer: Result<Response, Problem>) {
        let state = match answer {
            Err(problem) => State::Failed(problem),
            Ok(response) => {
                let (parts, body) = response.into_parts();
                // Our own answers are whole in memory already.
                let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
                State::Done(parts.headers, bytes)
            }
        };
        let owner = self.lock().get(id).map(|kept| kept.owner.clone());
        if let Some(owner) = owner {
            self.put(id, owner, state);
        }
    }

    /// What has become of an edit that is there for `viewer`.
    pub fn get(&self, viewer: &Viewer, id: &str) -> Option<State> {
        let mut kept = self.lock();
        drop_expired(&mut kept);
        let kept = kept.get(id).filter(|kept| viewer.sees(&kept.owner))?;
        Some(kept.state.clone())
    }

    /// Forgets an edit that is there for `viewer`; one that runs is cancelled. Whether there was one.
    pub fn remove(&self, viewer: &Viewer, id: &str) -> bool {
        let mut kept = self.lock();
        if !kept.get(id).is_some_and(|kept| viewer.changes(&kept.owner)) {
            return false;
        }
        let removed = kept.remove(id);
        drop(kept);
        if let Some(Kept {
            state: State::Running(work),
            ..
        }) = &removed
        {
            work.abort();
        }
        removed.is_some()
    }

    fn put(&self, id: &str, owner: String, state: State) {
        let mut kept = self.lock();
        drop_expired(&mut kept);
        let expires = Instant::now() + self.ttl;
        let put = Kept {
            owner,
            state,
            expires,
        };
        kept.insert(id.to_owned(), put);
        while kept.values().map(Kept::bytes).sum::<usize>() > self.max_bytes {
            let finished = kept.iter().filter(|(_, kept)| kept.bytes() > 0);
            let oldest = finished.min_by_key(|(_, kept)| kept.expires);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            kept.remove(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        match &self.state {
            State::Done(_, bytes) => bytes.len(),
            State::Running(_) | State::Failed(_) => 0,
        }
    }
}

/// Edits that run have a deadline of their own.
fn drop_expired(kept: &mut HashMap<String, Kept>) {
    let now = Instant::now();
    kept.retain(|_, kept| kept.expires > now || matches!(kept.state, State::Running(_)));
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    async fn finished(results: &Results, id: &str, bytes: usize) {
        let work = tokio::spawn(async {});
        results.begin(id, "me", work.abort_handle());
        results
            .finish(id, Ok(vec![0u8; bytes].into_response()))
            .await;
    }

    #[tokio::test]
    async fn answers_expire_and_the_oldest_make_room() {
        let results = Results::new(Duration::from_secs(60), 10);
        for id in ["a", "b", "c"] {
            finished(&results, id, 4).await;
        }
        let (me, you) = (Viewer::owner("me"), Viewer::owner("you"));
        assert!(results.get(&me, "a").is_none());
        assert!(results.get(&me, "b").is_some() && results.get(&me, "c").is_some());
        assert!(results.get(&you, "b").is_none() && !results.remove(&you, "b"));
        assert!(results.remove(&me, "b") && !results.remove(&me, "b"));
        let gone = Results::new(Duration::ZERO, 10);
        finished(&gone, "a", 4).await;
        assert!(gone.get(&me, "a").is_none());
    }
}

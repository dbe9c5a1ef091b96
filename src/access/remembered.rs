//! What the database last said of keys, for while it is away.
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{KeyRow, StorageError};

/// How long an answer is good while no new one is to be had: a key that is revoked then works for as long.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);

/// Keys that worked, and whether there were none.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    /// By their hash.
    worked: HashMap<String, (KeyRow, Instant)>,
    were_none: Option<Instant>,
}

impl Remembered {
    /// The database's answer about the key of that hash, or its last one where it is away.
    pub fn key(
        &self,
        hash: &str,
        answer: Result<Option<KeyRow>, StorageError>,
    ) -> Result<Option<KeyRow>, StorageError> {
        let worked = &mut self.lock().worked;
        match answer {
            Ok(Some(key)) => {
                worked.insert(hash.to_owned(), (key.clone(), Instant::now()));
                Ok(Some(key))
            }
            Ok(None) => {
                worked.remove(hash);
                Ok(None)
            }
            Err(error) => {
                let last = worked.get(hash).filter(|(_, at)| is_good(*at));
                last.map(|(key, _)| Some(key.clone())).ok_or(error)
            }
        }
    }

    /// The database's answer whether there are keys, or its last one where it is away.
    pub fn exist(&self, answer: Result<bool, StorageError>) -> Result<bool, StorageError> {
        let were_none = &mut self.lock().were_none;
        match answer {
            Ok(exist) => {
                *were_none = (!exist).then(Instant::now);
                Ok(exist)
            }
            Err(error) => match *were_none {
                Some(at) if is_good(at) => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Whole after a panic: nothing is changed in parts.
    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_good(at: Instant) -> bool {
    at.elapsed() < GOOD_FOR
}

//! Room for a process's work in progress, beside that of others on the same machine.
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

const WORK: &str = "work";
pub(super) const LOCK: &str = "lock";

/// A folder that nobody else writes to, worth nothing once its process is gone.
#[derive(Debug)]
pub(super) struct Room {
    pub path: PathBuf,
    /// Held as long as the process lives.
    _lock: File,
}

impl Room {
    /// Takes away what dead processes left, and makes a folder of this one's own.
    ///
    /// # Errors
    /// `directory` cannot be written.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let work = directory.join(WORK);
        fs::create_dir_all(&work)?;
        // one process at a time looks: a folder without a lock is then a dead one's, never one that is being made
        let door = File::create(work.join(LOCK))?;
        door.lock()?;
        for entry in fs::read_dir(&work)? {
            let path = entry?.path();
            if path.is_dir() && is_dead(&path) {
                // what cannot be removed is in nobody's way
                let _ = fs::remove_dir_all(path);
            }
        }
        let path = work.join(Uuid::now_v7().simple().to_string());
        fs::create_dir(&path)?;
        let lock = File::create(path.join(LOCK))?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What is left is swept away by the next process.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn is_dead(path: &Path) -> bool {
    match File::open(path.join(LOCK)) {
        Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
        Err(_) => true,
    }
}

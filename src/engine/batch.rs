//! Which waiting edits run together.
use std::{
    collections::VecDeque,
    sync::mpsc,
    time::{Duration, Instant},
};

use super::{
    work::{EditWork, JudgedEdit},
    worker::{Command, Job},
};

/// An edit that waits for the device.
pub(super) type EditJob = Box<Job<EditWork, JudgedEdit>>;

/// How edits are gathered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batching {
    /// Pictures of one batch; one edit alone may have more.
    pub max_pictures: usize,
    /// Longest wait for others, and only while others are on their way.
    pub wait: Duration,
}

/// Commands in the order in which they came.
#[derive(Debug)]
pub(super) struct Waiting {
    received: mpsc::Receiver<Command>,
    /// Taken from the channel, but passed over.
    passed: VecDeque<Command>,
}

impl Waiting {
    pub fn new(received: mpsc::Receiver<Command>) -> Self {
        Self {
            received,
            passed: VecDeque::new(),
        }
    }

    /// The next command; `None` when every handle of the engine is gone.
    pub fn next(&mut self) -> Option<Command> {
        let passed = self.passed.pop_front();
        passed.or_else(|| self.received.recv().ok())
    }

    /// `first`, and edits like it that wait or come in time. `admitted` counts the requests that have a place: one that is
    /// neither here nor among those passed over is still on its way.
    pub fn gather(
        &mut self,
        first: EditJob,
        batching: Batching,
        admitted: impl Fn() -> usize,
    ) -> Vec<EditJob> {
        let mut batch = Batch {
            pictures: first.input.pictures(),
            edits: vec![first],
            max_pictures: batching.max_pictures,
        };
        for command in std::mem::take(&mut self.passed) {
            self.passed.extend(batch.take(command));
        }
        let until = Instant::now() + batching.wait;
        while batch.has_room() {
            let command = match self.received.try_recv() {
                Ok(command) => command,
                Err(_) if admitted() <= batch.edits.len() + self.passed.len() => break,
                Err(_) => {
                    let left = until.saturating_duration_since(Instant::now());
                    match self.received.recv_timeout(left) {
                        Ok(command) => command,
                        Err(_) => break,
                    }
                }
            };
            self.passed.extend(batch.take(command));
        }
        batch.edits
    }
}

struct Batch {
    edits: Vec<EditJob>,
    pictures: usize,
    max_pictures: usize,
}

impl Batch {
    fn has_room(&self) -> bool {
        self.pictures < self.max_pictures
    }

    /// Takes an edit that fits; gives everything else back.
    fn take(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::Edit(job)
                if self.pictures + job.input.pictures() <= self.max_pictures
                    && job.input.is_like(&self.edits[0].input) =>
            {
                self.pictures += job.input.pictures();
                self.edits.push(job);
                None
            }
            other => Some(other),
        }
    }
}

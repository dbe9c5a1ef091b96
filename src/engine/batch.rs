//! Which waiting requests run together.
use std::{
    collections::VecDeque,
    sync::mpsc,
    time::{Duration, Instant},
};

use super::{
    Score, ScoreInput,
    work::{EditWork, JudgedEdit},
    worker::{Command, Job},
};

/// An edit that waits for the device.
pub(super) type EditJob = Box<Job<EditWork, JudgedEdit>>;

/// Scores that wait for the device.
pub(super) type ScoreJob = Job<Vec<ScoreInput>, Vec<Score>>;

/// What can share a pass with others of its kind.
pub(super) trait Shares: Sized {
    /// Of one pass, together with others at most `max_batch`.
    fn size(&self) -> usize;

    /// Whether both may run together; what the models alone can know is not among it.
    fn is_like(&self, other: &Self) -> bool;

    /// # Errors
    /// The command, which asks for something else.
    fn of(command: Command) -> Result<Self, Command>;

    fn into_command(self) -> Command;
}

impl Shares for EditJob {
    fn size(&self) -> usize {
        self.input.pictures()
    }

    fn is_like(&self, other: &Self) -> bool {
        self.input.is_like(&other.input)
    }

    fn of(command: Command) -> Result<Self, Command> {
        match command {
            Command::Edit(job) => Ok(job),
            other @ Command::Score(_) => Err(other),
        }
    }

    fn into_command(self) -> Command {
        Command::Edit(self)
    }
}

impl Shares for ScoreJob {
    fn size(&self) -> usize {
        self.input.len()
    }

    /// The judge itself finds out which of them are.
    fn is_like(&self, _: &Self) -> bool {
        true
    }

    fn of(command: Command) -> Result<Self, Command> {
        match command {
            Command::Score(job) => Ok(job),
            other @ Command::Edit(_) => Err(other),
        }
    }

    fn into_command(self) -> Command {
        Command::Score(self)
    }
}

/// How requests are gathered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batching {
    /// Pictures of one batch; one request alone may have more.
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

    /// `first`, and others like it that wait or come in time. `admitted` counts the requests that have a place: one that is
    /// neither here nor among those passed over is still on its way.
    pub fn gather<J: Shares>(
        &mut self,
        first: J,
        batching: Batching,
        admitted: impl Fn() -> usize,
    ) -> Vec<J> {
        let mut batch = Batch {
            pictures: first.size(),
            jobs: vec![first],
            max_pictures: batching.max_pictures,
        };
        for command in std::mem::take(&mut self.passed) {
            self.passed.extend(batch.take(command));
        }
        let until = Instant::now() + batching.wait;
        while batch.has_room() {
            let command = match self.received.try_recv() {
                Ok(command) => command,
                Err(_) if admitted() <= batch.jobs.len() + self.passed.len() => break,
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
        batch.jobs
    }
}

struct Batch<J> {
    jobs: Vec<J>,
    pictures: usize,
    max_pictures: usize,
}

impl<J: Shares> Batch<J> {
    fn has_room(&self) -> bool {
        self.pictures < self.max_pictures
    }

    /// Takes what fits; gives everything else back.
    fn take(&mut self, command: Command) -> Option<Command> {
        let job = match J::of(command) {
            Ok(job) => job,
            Err(other) => return Some(other),
        };
        if self.pictures + job.size() > self.max_pictures || !job.is_like(&self.jobs[0]) {
            return Some(job.into_command());
        }
        self.pictures += job.size();
        self.jobs.push(job);
        None
    }
}

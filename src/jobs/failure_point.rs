//! Places where a test makes the process die.

/// A moment between two writes that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePoint {
    SetStored,
    Claimed,
    StepTold,
    CheckpointStored,
    CheckpointTold,
    SamplesStored,
    AdapterStored,
    BeforeCommit,
    AfterCommit,
}

impl FailurePoint {
    pub const ALL: [Self; 9] = [
        Self::SetStored,
        Self::Claimed,
        Self::StepTold,
        Self::CheckpointStored,
        Self::CheckpointTold,
        Self::SamplesStored,
        Self::AdapterStored,
        Self::BeforeCommit,
        Self::AfterCommit,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::SetStored => "set_stored",
            Self::Claimed => "claimed",
            Self::StepTold => "step_told",
            Self::CheckpointStored => "checkpoint_stored",
            Self::CheckpointTold => "checkpoint_told",
            Self::SamplesStored => "samples_stored",
            Self::AdapterStored => "adapter_stored",
            Self::BeforeCommit => "before_commit",
            Self::AfterCommit => "after_commit",
        }
    }

    /// Aborts where `NPEDIT_ABORT_AT` names this place; `NAME:3` only the third time, and with `NPEDIT_ABORT_OF` only for what
    /// has that id. In builds without debug assertions it does nothing.
    pub(super) fn reach(self, of: &str) {
        if !cfg!(debug_assertions) {
            return;
        }
        let Ok(wanted) = std::env::var("NPEDIT_ABORT_AT") else {
            return;
        };
        if std::env::var("NPEDIT_ABORT_OF").is_ok_and(|id| id != of) {
            return;
        }
        use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
        static TIMES: AtomicUsize = AtomicUsize::new(0);
        let (place, nth) = wanted.split_once(':').unwrap_or((&wanted, "1"));
        if place == self.name() && TIMES.fetch_add(1, SeqCst) + 1 == nth.parse().unwrap_or(1) {
            eprintln!("aborting at the failure point {place}");
            std::process::abort();
        }
    }
}

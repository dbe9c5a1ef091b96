//! The states of a job, and which may follow which.
use std::fmt;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobStatus)]
pub enum Status {
    Queued,
    Running,
    Paused,
    /// Somebody wants it ended; whoever runs it has not heard yet.
    Cancelling,
    Succeeded,
    Failed,
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Cancelling,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// The transition table: nothing leads out of an end, and a paused job goes on through the queue.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Running | Self::Paused | Self::Cancelled),
            Self::Running => matches!(
                next,
                Self::Queued
                    | Self::Paused
                    | Self::Cancelling
                    | Self::Succeeded
                    | Self::Failed
                    | Self::Cancelled
            ),
            Self::Paused => matches!(next, Self::Queued | Self::Cancelled),
            Self::Cancelling => matches!(next, Self::Cancelled | Self::Failed),
            Self::Succeeded | Self::Failed | Self::Cancelled => false,
        }
    }

    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        Self::ALL.into_iter().all(|next| !self.may_become(next))
    }

    /// The states that may become `next`, as a list in SQL.
    pub(super) fn sources_of(next: Self) -> String {
        let sources = Self::ALL.into_iter();
        let sources = sources.filter(|status| status.may_become(next));
        let names: Vec<String> = sources
            .map(|status| format!("'{}'", status.name()))
            .collect();
        names.join(", ")
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_ends_are_ends() {
        let ends: Vec<_> = Status::ALL
            .into_iter()
            .filter(|status| status.is_final())
            .collect();
        assert_eq!(ends, [Status::Succeeded, Status::Failed, Status::Cancelled]);
        for status in Status::ALL {
            assert!(!status.may_become(status), "{status}");
            assert_eq!(Status::of_name(status.name()), Some(status));
        }
        assert_eq!(Status::sources_of(Status::Cancelling), "'running'");
        assert_eq!(Status::sources_of(Status::Running), "'queued'");
    }
}

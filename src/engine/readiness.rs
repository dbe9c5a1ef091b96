//! How far the start has come.
use std::sync::Arc;

use super::Profile;

#[derive(Clone, Debug)]
pub enum Readiness {
    /// Weights are being read.
    Loading,
    /// The first edit runs, so that no client pays for it.
    Warming,
    Ready(Arc<Profile>),
    Failed {
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl Readiness {
    /// Name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Warming => "warming",
            Self::Ready(_) => "ready",
            Self::Failed { .. } => "failed",
        }
    }

    /// What it means for a client; says nothing internal.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Loading => "the model is being loaded; try again in a moment",
            Self::Warming => "the model is warming up; try again in a moment",
            Self::Ready(_) => "the model is ready",
            Self::Failed { .. } => {
                "the model could not be loaded; the server's log has the cause, and it must be started again"
            }
        }
    }
}

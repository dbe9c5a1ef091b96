//! One attempt, in order: lay out, train, compare, publish.
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use tokio::{runtime::Handle, sync::oneshot};

use super::{
    Broke, Runner, Signals,
    lasting::lasting,
    training::{self, Bench, Trained},
    watch::Watch,
    workspace::Workspace,
};
use crate::{
    engine::EngineError,
    jobs::{Claim, FailureCode, FailurePoint, JobError, JobResult, Viewer},
};

/// Stack of the training thread: without recomputation a graph is as deep as all blocks of all steps.
const STACK_BYTES: usize = 256 << 20;

impl Runner {
    pub(super) async fn attempt(&self, claim: &Claim, signals: &Arc<Signals>) -> Result<(), Broke> {
        FailurePoint::Claimed.reach(&claim.job.id);
        // 1 lay out     rows, recipe, checkpoint -> folder
        let seen = lasting(async || self.alias_of(claim).await).await;
        let seen = seen.map_err(Broke::Storage)?;
        let workspace = lasting(async || Workspace::prepare(&self.jobs, claim).await).await;
        let workspace = workspace.map_err(Broke::Storage)?;
        // 2 train       folder -> adapter, and what the gate measured
        let trained = self.train(claim, signals, &workspace).await?;
        if signals.drops_step() {
            return Err(Broke::Asked);
        }
        // 3 publish     adapter, alias and the job's end at once
        let published = lasting(async || self.publish(claim, &trained, seen.as_ref()).await).await;
        match published {
            Ok(()) => Ok(()),
            // the end was refused: cancelled meanwhile, or somebody else's
            Err(JobError::Fenced { .. }) => Err(Broke::Asked),
            Err(error) => Err(Broke::Storage(error)),
        }
    }

    async fn alias_of(&self, claim: &Claim) -> JobResult<Option<crate::adapters::Alias>> {
        let plan = &claim.job.plan;
        let viewer = Viewer::owner(&plan.owner);
        match &plan.publish_as {
            Some(name) => Ok(Some(self.jobs.registry.alias(&viewer, name).await?)),
            None => Ok(None),
        }
    }

    /// Trains on a thread of its own.
    async fn train(
        &self,
        claim: &Claim,
        signals: &Arc<Signals>,
        workspace: &Workspace,
    ) -> Result<Trained, Broke> {
        let watch = Watch {
            runtime: Handle::current(),
            jobs: self.jobs.clone(),
            claim: claim.clone(),
            signals: signals.clone(),
            gate: self.gate.clone(),
            sharing: self.sharing,
            turn: None,
            step: 0,
            saved: Instant::now(),
            served: (0, 0),
            failure: None,
        };
        let bench = Bench {
            models: self.models.clone(),
            settings: self.jobs.settings.clone(),
            recipe: workspace.recipe(),
            rows: workspace.rows(),
            replay: workspace.replay(),
            held_out: workspace.held_out(),
            directory: workspace.run(),
        };
        let (done, trained) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("training".into())
            .stack_size(STACK_BYTES);
        let spawned = thread.spawn(move || {
            let trained = catch_unwind(AssertUnwindSafe(|| training::train(&bench, watch)));
            let defect = |payload: Box<dyn std::any::Any + Send>| {
                let panicked = EngineError::panicked(&*payload);
                tracing::error!(error = %panicked, "training failed");
                Err(Broke::Failed {
                    code: FailureCode::Internal,
                    message: "the program failed in an unforeseen way; the server's log has the cause, report it".into(),
                })
            };
            // nobody listens any more where the process ends
            let _ = done.send(trained.unwrap_or_else(defect));
        });
        spawned.map_err(|error| Broke::Failed {
            code: FailureCode::Internal,
            message: format!(
                "no thread for training: {error}; free memory and start the job again"
            ),
        })?;
        trained.await.unwrap_or(Err(Broke::Asked))
    }
}

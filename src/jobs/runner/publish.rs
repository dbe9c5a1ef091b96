//! The end of a job that was trained: everything about it becomes visible at once.
use serde_json::json;

use super::{Runner, training::Trained};
use crate::{
    adapters::Alias,
    jobs::{Claim, FailurePoint, JobResult, Outcome, Status, Viewer},
};

impl Runner {
    /// Stores the adapter, then enters it, moves the alias where the gate lets it, and ends the job, in one transaction.
    pub(super) async fn publish(
        &self,
        claim: &Claim,
        trained: &Trained,
        seen: Option<&Alias>,
    ) -> JobResult<()> {
        let (jobs, job) = (&self.jobs, &claim.job);
        let registry = &jobs.registry;
        let id = trained.adapter.id().as_str();
        let objects = &jobs.storage.objects;
        // whoever slept through its lease writes no file either
        jobs.queue.held(claim).await?;
        let report = format!("{}/report.html", job.folder());
        objects.put(&report, trained.report.clone()).await?;
        let bytes = registry.store_files(&trained.adapter).await?;
        FailurePoint::AdapterStored.reach(&job.id);

        let (mut promoted, mut reasons) = trained.comparison.decide(&jobs.settings.gate);
        let gate = serde_json::to_value(&trained.comparison).unwrap_or_default();
        // an admin's job may train on another owner's set
        let viewer = Viewer::admin(&job.plan.owner);
        let dataset = jobs.datasets.dataset(&viewer, &job.plan.dataset).await?;
        let lineage = json!({
            "job": job.id,
            "dataset": {"id": dataset.id, "name": dataset.name, "sha256": dataset.report.sha256},
            "replay": job.plan.replay,
            "base_adapter": job.plan.base_adapter,
            "recipe": job.plan.recipe,
            "overrides": job.plan.overrides,
            "base": trained.adapter.config().base,
            "metrics": gate,
        });
        let mut tx = jobs.storage.database.begin().await?;
        registry
            .enter(&mut tx, &job.plan.owner, (id, bytes), &lineage)
            .await?;
        // from here on nobody sweeps the files away: see `Registry::sweep`
        registry.store_missing(&trained.adapter).await?;
        if let (true, Some(seen)) = (promoted, seen)
            && !registry.move_in(&mut tx, seen, id).await?
        {
            promoted = false;
            reasons.push(format!(
                "the alias {:?} was moved while the job ran; move it by hand where this adapter is to have it",
                seen.name
            ));
        }
        let outcome = Outcome::Trained {
            adapter: id.to_owned(),
            promoted,
            reasons,
            gate,
        };
        let end = (Status::Succeeded, Some(&outcome));
        jobs.queue.end(&mut tx, claim, end).await?;
        FailurePoint::BeforeCommit.reach(&job.id);
        tx.commit().await?;
        FailurePoint::AfterCommit.reach(&job.id);
        Ok(())
    }
}

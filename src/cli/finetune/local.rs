//! On this machine: the queue of its data directory, and a worker until the job has ended.
use std::time::Duration;

use super::{
    Asked, FinetuneError,
    follow::{Follower, Verdict},
    set::SentSet,
};
use crate::{
    app::Worker,
    cli::signal::stopped,
    config::Config,
    jobs::{
        FinetuneRequest, Job, JobError, Jobs, Submitted, Viewer,
        datasets::{DatasetError, Sent},
    },
};

/// How often new events are looked for.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn run(config: Config, asked: &Asked) -> Result<Verdict, FinetuneError> {
    let worker = Worker::build(config).await?;
    let jobs = worker.jobs().clone();
    let job = submit(&jobs, asked).await?;
    let follower = Follower::new(&job.id, job.steps as u64);
    tokio::select! {
        verdict = follow(&jobs, &job.id, &follower) => verdict,
        () = worker.run_until_stopped(stopped()) => Err(FinetuneError::Stopped { job: job.id.clone() }),
    }
}

async fn submit(jobs: &Jobs, asked: &Asked) -> Result<Job, FinetuneError> {
    let viewer = Viewer::default();
    if let SentSet::Packed { name, archive } = &asked.set {
        match jobs
            .datasets
            .create(&viewer, name, Sent::Archive(archive.clone()))
            .await
        {
            Ok(_) => {}
            // its name says that it is the same
            Err(JobError::Dataset(DatasetError::NameTaken { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let request = FinetuneRequest {
        viewer,
        dataset: asked.set.name().to_owned(),
        recipe: asked.recipe.clone(),
        overrides: asked.overrides.clone(),
        base_adapter: asked.base_adapter.clone(),
        publish_as: asked.publish_as.clone(),
    };
    match jobs.submit(&request, None).await? {
        Submitted::New(job) | Submitted::Again(job) => Ok(job),
    }
}

async fn follow(jobs: &Jobs, id: &str, follower: &Follower) -> Result<Verdict, FinetuneError> {
    let mut after = 0;
    loop {
        for event in jobs.queue.events(id, after).await? {
            after = event.seq;
            if let Some(verdict) = follower.hear(&event.kind, &event.data) {
                return Ok(verdict);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

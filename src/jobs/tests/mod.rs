//! The queue; what is kept beside it is in `kept`.
mod kept;

use std::time::Duration;

use serde_json::{Map, json};

use super::*;
use crate::{
    config::{Config, Given},
    storage::testing::{Kept, on_every_store},
};

const LEASE: Duration = Duration::from_secs(60);
const NONE: Duration = Duration::ZERO;
const ME: &str = "me";

struct Place {
    jobs: Jobs,
    /// Goes away with the test.
    _kept: Kept,
}

impl From<Kept> for Place {
    fn from(kept: Kept) -> Self {
        let config = Config::load(&Given::default()).unwrap().config;
        let jobs = Jobs::new(kept.storage.clone(), JobSettings::from(&config));
        Self { jobs, _kept: kept }
    }
}

on_every_store!(
    jobs_are_claimed_once_in_order_and_tell_every_step_once,
    whoever_lost_the_lease_writes_nothing_more,
    three_tries_that_die_without_a_checkpoint_end_a_job_and_progress_counts_anew,
    clients_pause_resume_and_cancel,
    a_key_makes_one_job_however_often_it_comes,
    a_process_that_is_alone_takes_over_at_once,
);

fn plan() -> Plan {
    Plan {
        owner: ME.into(),
        dataset: "set-1".into(),
        replay: None,
        base_adapter: None,
        recipe: "mine".into(),
        overrides: Map::new(),
        recipe_toml: "steps = 5".into(),
        holdout: 0.2,
        publish_as: None,
    }
}

impl Place {
    async fn submit(&self) -> Job {
        match self.jobs.queue.submit(&plan(), 5, None).await.unwrap() {
            Submitted::New(job) | Submitted::Again(job) => job,
        }
    }

    async fn claim(&self, lease: Duration) -> Option<Claim> {
        self.jobs.queue.claim("w", lease).await.unwrap()
    }

    async fn kinds(&self, id: &str) -> Vec<String> {
        let events = self.jobs.queue.events(id, 0).await.unwrap();
        let numbers: Vec<i64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=events.len() as i64).collect::<Vec<_>>());
        events.into_iter().map(|event| event.kind).collect()
    }
}

async fn jobs_are_claimed_once_in_order_and_tell_every_step_once(kept: Kept) {
    let place = Place::from(kept);
    let (first, second) = (place.submit().await, place.submit().await);
    let one = place.claim(LEASE).await.unwrap();
    let two = place.claim(LEASE).await.unwrap();
    assert_eq!((&one.job.id, &two.job.id), (&first.id, &second.id));
    assert!(place.claim(LEASE).await.is_none());
    let queue = &place.jobs.queue;
    for step in [1, 2, 2, 1, 3] {
        queue
            .reached(&one, (Reached::Step, step), json!({"step": step}))
            .await
            .unwrap();
    }
    queue
        .reached(&one, (Reached::Checkpoint, 3), json!({}))
        .await
        .unwrap();
    let job = queue.job(&first.id).await.unwrap();
    assert_eq!(
        (job.step, job.checkpoint_step, job.status),
        (3, 3, Status::Running)
    );
    queue.leave(&one, Status::Succeeded, None).await.unwrap();
    let kinds = place.kinds(&first.id).await;
    assert_eq!(
        kinds,
        [
            "queued",
            "started",
            "step",
            "step",
            "step",
            "checkpoint",
            "succeeded"
        ]
    );
    let me = Viewer::owner(ME);
    let listed = queue.list(&me, None, "", 10).await.unwrap();
    assert_eq!(listed.len(), 2);
    let after = queue.list(&me, None, &second.id, 10).await.unwrap();
    assert_eq!(after[0].id, first.id);
    let running = queue.list(&me, Some(Status::Running), "", 10).await;
    assert_eq!(running.unwrap().len(), 1);
    queue.delete(&first.id).await.unwrap();
    assert!(matches!(
        queue.job(&first.id).await,
        Err(JobError::UnknownJob { .. })
    ));
    let running = queue.delete(&second.id).await;
    assert!(matches!(running, Err(JobError::WrongState { .. })));
}

async fn whoever_lost_the_lease_writes_nothing_more(kept: Kept) {
    let place = Place::from(kept);
    let queue = &place.jobs.queue;
    let job = place.submit().await;
    let stale = place.claim(NONE).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    queue.expire().await.unwrap();
    let fresh = place.claim(LEASE).await.unwrap();
    assert_eq!((stale.epoch, fresh.epoch), (1, 2));
    let fenced = |result: JobResult<()>| assert!(matches!(result, Err(JobError::Fenced { .. })));
    fenced(queue.keep(&stale, LEASE).await.map(drop));
    fenced(queue.reached(&stale, (Reached::Step, 1), json!({})).await);
    fenced(
        queue
            .reached(&stale, (Reached::Checkpoint, 1), json!({}))
            .await,
    );
    fenced(queue.leave(&stale, Status::Succeeded, None).await);
    queue
        .reached(&fresh, (Reached::Step, 1), json!({}))
        .await
        .unwrap();
    queue.leave(&fresh, Status::Succeeded, None).await.unwrap();
    fenced(queue.keep(&fresh, LEASE).await.map(drop));
    let kinds = place.kinds(&job.id).await;
    assert_eq!(
        kinds,
        [
            "queued",
            "started",
            "lease_expired",
            "started",
            "step",
            "succeeded"
        ]
    );
}

async fn three_tries_that_die_without_a_checkpoint_end_a_job_and_progress_counts_anew(kept: Kept) {
    let place = Place::from(kept);
    let queue = &place.jobs.queue;
    let job = place.submit().await;
    let mut tries = 0;
    while let Some(claim) = place.claim(NONE).await {
        tries += 1;
        if tries == 2 {
            queue
                .reached(&claim, (Reached::Checkpoint, 1), json!({}))
                .await
                .unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        queue.expire().await.unwrap();
    }
    // 1 barren, 1 with a checkpoint, then 3 barren ones in a row
    assert_eq!(tries, 2 + BARREN_TRIES);
    let job = queue.job(&job.id).await.unwrap();
    let Some(Outcome::Failed { code, .. }) = job.outcome else {
        panic!("{job:?}")
    };
    assert_eq!(
        (code, job.status),
        (FailureCode::DeadLetter, Status::Failed)
    );
    assert!(job.finished >= job.started && job.started > 0);
}

async fn clients_pause_resume_and_cancel(kept: Kept) {
    let place = Place::from(kept);
    let queue = &place.jobs.queue;
    let job = place.submit().await;
    let act = async |action| queue.act(&job.id, action).await;
    let refused = |result: JobResult<Job>, status| match result {
        Err(JobError::WrongState { status: found, .. }) => assert_eq!(found, status),
        other => panic!("{other:?}"),
    };
    refused(act(Action::Resume).await, Status::Queued);
    refused(act(Action::SaveNow).await, Status::Queued);
    assert_eq!(act(Action::Pause).await.unwrap().status, Status::Paused);
    assert!(place.claim(LEASE).await.is_none());
    assert_eq!(act(Action::Pause).await.unwrap().status, Status::Paused);
    assert_eq!(act(Action::Resume).await.unwrap().status, Status::Queued);
    let claim = place.claim(LEASE).await.unwrap();
    let paused = act(Action::Pause).await.unwrap();
    assert!(paused.pause_wanted && paused.status == Status::Running);
    act(Action::SaveNow).await.unwrap();
    act(Action::SampleNow).await.unwrap();
    let wishes = queue.keep(&claim, LEASE).await.unwrap();
    let expected = Wishes {
        cancel: false,
        pause: true,
        saves: 1,
        samples: 1,
    };
    assert_eq!(wishes, expected);
    assert_eq!(
        act(Action::Cancel).await.unwrap().status,
        Status::Cancelling
    );
    assert_eq!(
        act(Action::Cancel).await.unwrap().status,
        Status::Cancelling
    );
    assert!(queue.keep(&claim, LEASE).await.unwrap().cancel);
    // too late to succeed
    let late = queue.leave(&claim, Status::Succeeded, None).await;
    assert!(matches!(late, Err(JobError::Fenced { .. })));
    queue.leave(&claim, Status::Cancelled, None).await.unwrap();
    refused(act(Action::Pause).await, Status::Cancelled);
    assert_eq!(act(Action::Cancel).await.unwrap().status, Status::Cancelled);
    place.kinds(&job.id).await;
    let unknown = queue.act("ftjob-0", Action::Cancel).await;
    assert!(matches!(unknown, Err(JobError::UnknownJob { .. })));
}

async fn a_key_makes_one_job_however_often_it_comes(kept: Kept) {
    let place = Place::from(kept);
    let queue = &place.jobs.queue;
    let once = Idempotency {
        owner: ME.into(),
        key: "k".into(),
        fingerprint: "f".into(),
    };
    let submit = async |once: &Idempotency| queue.submit(&plan(), 5, Some(once)).await;
    let Submitted::New(job) = submit(&once).await.unwrap() else {
        panic!()
    };
    let Submitted::Again(again) = submit(&once).await.unwrap() else {
        panic!()
    };
    assert_eq!(again.id, job.id);
    let other = Idempotency {
        fingerprint: "g".into(),
        ..once
    };
    assert!(matches!(submit(&other).await, Err(JobError::KeyReused)));
    assert_eq!(
        queue
            .list(&Viewer::owner(ME), None, "", 10)
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn a_process_that_is_alone_takes_over_at_once(kept: Kept) {
    let place = Place::from(kept);
    if !place.jobs.storage.is_alone() {
        return;
    }
    let job = place.submit().await;
    place.claim(LEASE).await.unwrap();
    // of a process whose clock was an hour ahead
    let ahead = "UPDATE jobs SET created = created + 3600000, started = started + 3600000, lease_until = lease_until + 3600000";
    let pool = place.jobs.storage.database.pool();
    sqlx::query(ahead).execute(pool).await.unwrap();
    place
        .jobs
        .storage
        .objects
        .put("datasets/set-lost/rows.jsonl", vec![1])
        .await
        .unwrap();
    place.jobs.recover().await.unwrap();
    let found = place.jobs.queue.job(&job.id).await.unwrap();
    assert_eq!(found.status, Status::Queued);
    assert_eq!(place.claim(LEASE).await.unwrap().epoch, 2);
    assert!(
        place
            .jobs
            .storage
            .objects
            .list("datasets")
            .await
            .unwrap()
            .is_empty()
    );
}

//! Several processes on one Postgres and one S3-compatible store.
use std::{
    collections::HashSet,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::TryStreamExt;
use object_store::{ObjectStore, aws::AmazonS3Builder};
use serde_json::{Value, json};

use crate::{
    count,
    kills::undisturbed,
    place::{LEASE, PATIENCE, Place},
};

/// What a worker may be late with: its heartbeat, and the look of the others at the queue.
const SLACK: Duration = Duration::from_millis(700);

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_worker_gives_its_job_back_and_the_service_edits_with_the_adapter() {
    let Some(place) = Place::shared().await else {
        return;
    };
    let (service, mut first) = (place.serve_alone(), place.worker());
    let client = service.client();
    client.ready().await;
    client.keep_set().await;
    let id = client.submit(json!({})).await;
    client
        .until(&id, |job| job["progress"]["step"].as_i64() >= Some(1))
        .await;
    first.signal("TERM");
    let ended = first.ended(PATIENCE).unwrap();
    assert!(ended.success(), "{ended}");
    let given_back = client.job(&id).await;
    assert_eq!(given_back["status"], "queued", "{given_back:#}");
    let progress = &given_back["progress"];
    assert_eq!(progress["checkpoint_step"], progress["step"]);
    let _second = place.worker();
    let job = client.ended(&id).await;
    assert_eq!(job["adapter"]["id"], undisturbed().await.adapter, "{job:#}");
    let events = client.story(&id).await;
    assert!(
        events.iter().all(|event| event["kind"] != "lease_expired"),
        "{events:#?}"
    );
    let (plain, adapted) = (
        client.edit(json!({})).await,
        client.edit(json!({"adapter": job["adapter"]["id"]})).await,
    );
    assert_eq!((plain.0, adapted.0), (200, 200));
    assert_ne!(plain.1, adapted.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_through_its_lease_writes_nothing_more() {
    let took = undisturbed().await.took;
    let stops = count("NPEDIT_TEST_STOPS", 1);
    let mut held = 0;
    for stop in 0..stops {
        let Some(place) = Place::shared().await else {
            return;
        };
        let (service, sleeper) = (place.serve_alone(), place.worker());
        let client = service.client();
        client.keep_set().await;
        let id = client.submit(json!({})).await;
        client.until(&id, |job| job["status"] != "queued").await;
        tokio::time::sleep(took.mul_f64((0.3 + stop as f64 * 0.618_034).fract())).await;
        sleeper.signal("STOP");
        let asleep = Instant::now();
        let other = place.worker();
        let job = client.ended(&id).await;
        assert_eq!(job["adapter"]["id"], undisturbed().await.adapter, "{job:#}");
        tokio::time::sleep((3 * LEASE).saturating_sub(asleep.elapsed())).await;
        let (before, told) = (objects(&place).await, client.story(&id).await);
        sleeper.signal("CONT");
        tokio::time::sleep(2 * SLACK + took / 2).await;
        assert_eq!(objects(&place).await, before);
        assert_eq!(client.story(&id).await, told);
        assert_eq!(client.job(&id).await, job);
        if job["tries"] == 2 {
            held += 1;
            assert!(
                sleeper.log().contains("another worker has the job now"),
                "{}",
                sleeper.log()
            );
        }
        // and it is of use again
        other.kill();
        let next = client.submit(json!({"seed": 5})).await;
        assert_eq!(client.ended(&next).await["status"], "succeeded");
    }
    println!(
        "stopped at {stops} moments for 3 leases of {LEASE:?}, {held} times with a job: nothing stale was written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_publish_every_job_once_though_one_is_killed() {
    let Some(place) = Place::shared().await else {
        return;
    };
    let jobs = count("NPEDIT_TEST_JOBS", 4);
    let service = place.serve_alone();
    let client = service.client();
    client.keep_set().await;
    let mut ids = Vec::new();
    for seed in 0..jobs {
        ids.push(client.submit(json!({"steps": 1, "seed": seed})).await);
    }
    let (victim, _other) = (place.worker(), place.worker());
    client.ended(&ids[jobs / 2 - 1]).await;
    let killed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    victim.kill();
    let (mut adapters, mut again) = (HashSet::new(), 0);
    for id in &ids {
        let job = client.ended(id).await;
        assert_eq!(job["status"], "succeeded", "{job:#}");
        adapters.insert(job["adapter"]["id"].as_str().unwrap().to_owned());
        let events = client.story(id).await;
        let at = |kind: &str| {
            events
                .iter()
                .filter(|event| event["kind"] == kind)
                .map(|event| event["at"].as_u64().unwrap())
                .collect::<Vec<_>>()
        };
        let (started, expired) = (at("started"), at("lease_expired"));
        assert_eq!(job["tries"], started.len(), "{events:#?}");
        assert_eq!(expired.len() + 1, started.len(), "{events:#?}");
        for (expired, started) in expired.iter().zip(&started[1..]) {
            assert!(started >= expired);
            let lived = Duration::from_millis(*expired).checked_sub(killed).unwrap();
            assert!(lived + SLACK >= LEASE, "{lived:?}");
        }
        again += usize::from(started.len() > 1);
    }
    assert!(again <= 1, "{again} jobs have a second try, one was killed");
    assert_eq!(adapters.len(), jobs);
    let listed = client.got("/v1/adapters").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), jobs);
    let stored: HashSet<String> = objects(&place)
        .await
        .into_iter()
        .filter_map(|(path, ..)| {
            Some(
                path.split_once("/adapters/")?
                    .1
                    .split('/')
                    .next()?
                    .to_owned(),
            )
        })
        .collect();
    assert_eq!(stored, adapters);
    println!(
        "{jobs} jobs, two workers, one killed: each published once, {again} with a second try"
    );
}

/// Every file of the store with what tells whether it was written again.
async fn objects(place: &Place) -> Vec<(String, Option<String>, Value)> {
    let store = AmazonS3Builder::from_env().with_url(place.objects_url());
    let store = store.build().unwrap();
    let prefix = place.objects_url().rsplit('/').next().unwrap().into();
    let found: Vec<_> = store.list(Some(&prefix)).try_collect().await.unwrap();
    let mut found: Vec<_> = found
        .into_iter()
        .map(|file| {
            (
                file.location.to_string(),
                file.e_tag,
                json!(file.last_modified.timestamp_millis()),
            )
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

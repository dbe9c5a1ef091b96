//! Storage that is away for a while, or full.
use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    count,
    kills::undisturbed,
    place::{PATIENCE, Place},
    proxy::Proxy,
    shared::Shared,
};

#[tokio::test(flavor = "multi_thread")]
async fn without_database_and_store_edits_succeed_and_jobs_go_on_afterwards() {
    let Some(shared) = Shared::new().await else {
        return;
    };
    let host = |url: &str| {
        url.split(['/', '@'])
            .rfind(|part| part.contains(':'))
            .unwrap()
            .to_owned()
    };
    let endpoint = std::env::var("AWS_ENDPOINT").unwrap();
    let (database, store) = (
        Proxy::to(&host(&shared.database_url)).await,
        Proxy::to(&host(&endpoint)).await,
    );
    let database_url = shared
        .database_url
        .replace(&host(&shared.database_url), &database.address);
    let storage = format!(
        "database_url = {database_url:?}\nobjects_url = {:?}\n",
        shared.objects_url
    );
    let mut keys = Shared::keys();
    keys.retain(|(name, _)| name != "AWS_ENDPOINT");
    keys.push(("AWS_ENDPOINT".into(), format!("http://{}", store.address)));
    let place = Place::new(&storage, keys, Some(shared));

    let service = place.serve(&[]);
    let client = service.client();
    client.ready().await;
    client.keep_set().await;
    let id = client.submit(json!({})).await;
    client
        .until(&id, |job| job["progress"]["step"].as_i64() >= Some(1))
        .await;
    for proxy in [&database, &store] {
        proxy.cut(true);
    }
    let outage = Duration::from_secs(count("NPEDIT_TEST_OUTAGE_SECS", 4) as u64);
    let start = Instant::now();
    let (mut edits, mut refused) = (0, 0);
    while start.elapsed() < outage {
        assert_eq!(client.edit(json!({})).await.0, 200);
        edits += 1;
        for path in ["/v1/datasets", "/v1/finetune"] {
            let answer = client.get(path).await;
            assert_eq!(answer.status(), 503, "{path}");
            assert!(answer.headers().contains_key("retry-after"), "{path}");
            refused += 1;
        }
    }
    for proxy in [&database, &store] {
        proxy.cut(false);
    }
    let back = Instant::now();
    while !client.get("/v1/finetune").await.status().is_success() {
        assert!(back.elapsed() < PATIENCE);
    }
    let job = client.ended(&id).await;
    assert_eq!(job["adapter"]["id"], undisturbed().await.adapter, "{job:#}");
    client.story(&id).await;
    println!(
        "database and store away for {outage:?}: {edits} of {edits} edits succeeded, {refused} job and set requests got 503, the job ended undisturbed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_pauses_the_job_with_its_last_checkpoint_intact() {
    let place = Place::embedded();
    let id = queued(&place).await;
    let service = place.serve(&[]);
    // writing the second checkpoint is "no space left on device"
    let room = room(&place);
    let checkpoints = room.join(format!("{id}-1/run/checkpoints"));
    fs::create_dir_all(&checkpoints).unwrap();
    symlink("/dev/full", checkpoints.join("step-000002.part")).unwrap();
    let client = service.client();
    let paused = client
        .until(&id, |job| {
            job["status"] != "queued" && job["status"] != "running"
        })
        .await;
    assert_eq!(paused["status"], "paused", "{paused:#}");
    assert_eq!(paused["progress"]["checkpoint_step"], 1, "{paused:#}");
    assert_eq!(paused["error"]["code"], "storage_full", "{paused:#}");
    assert!(service.log().contains("No space left"), "{}", service.log());
    assert_eq!(client.edit(json!({})).await.0, 200);
    let resumed = client
        .post(&format!("/v1/finetune/{id}/resume"), &json!({}))
        .await
        .unwrap();
    assert_eq!(resumed.status(), 200);
    let resumed: serde_json::Value = resumed.json().await.unwrap();
    assert!(resumed["error"].is_null(), "{resumed:#}");
    let job = client.ended(&id).await;
    assert_eq!(job["adapter"]["id"], undisturbed().await.adapter, "{job:#}");
    client.story(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_a_checkpoint_holds_the_job_up_and_not_the_service() {
    let place = Place::embedded();
    let id = queued(&place).await;
    let blocked = place.data().join(format!(
        "objects/jobs/{id}/checkpoints/step-000002.safetensors/x"
    ));
    fs::create_dir_all(&blocked).unwrap();
    let service = place.serve(&[]);
    let client = service.client();
    service.until_logged("storage is away");
    assert_eq!(client.job(&id).await["status"], "running");
    assert_eq!(client.edit(json!({})).await.0, 200);
    fs::remove_dir_all(blocked.parent().unwrap()).unwrap();
    let job = client.ended(&id).await;
    assert_eq!(job["adapter"]["id"], undisturbed().await.adapter, "{job:#}");
    assert_eq!(job["tries"], 1);
    client.story(&id).await;
}

/// A job that no process runs yet.
async fn queued(place: &Place) -> String {
    let service = place.serve_alone();
    let client = service.client();
    client.keep_set().await;
    let id = client.submit(json!({})).await;
    service.kill();
    id
}

/// Where the one process has its work.
fn room(place: &Place) -> PathBuf {
    let rooms = fs::read_dir(place.data().join("work")).unwrap();
    let mut rooms = rooms
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    rooms.next().unwrap()
}

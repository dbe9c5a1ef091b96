//! A killed service, on the embedded storage: whatever the moment, the job ends as if nothing had happened.
use std::{
    collections::HashSet,
    fs,
    time::{Duration, Instant},
};

use npedit::jobs::FailurePoint;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    client::Client,
    count,
    place::{PATIENCE, Place, files},
};

/// What comes out where nothing happens.
pub struct Undisturbed {
    pub adapter: Value,
    /// From the request to the end.
    pub took: Duration,
}

/// The same for every test: jobs of the recipe without overrides.
pub async fn undisturbed() -> &'static Undisturbed {
    static RUN: OnceCell<Undisturbed> = OnceCell::const_new();
    let run = async || {
        let place = Place::embedded();
        let server = place.serve(&[]);
        let client = server.client();
        client.ready().await;
        client.keep_set().await;
        let start = Instant::now();
        let id = client.submit(json!({})).await;
        let job = client.ended(&id).await;
        assert_eq!(job["status"], "succeeded", "{job:#}");
        client.story(&id).await;
        nothing_is_left_over(&place, &client).await;
        Undisturbed {
            adapter: job["adapter"]["id"].clone(),
            took: start.elapsed(),
        }
    };
    RUN.get_or_init(run).await
}

/// Every file of the store belongs to a set, an adapter or a job, and nothing is in work.
async fn nothing_is_left_over(place: &Place, client: &Client) {
    let ids = async |path: &str| {
        let list = client.got(path).await;
        let ids = list["data"].as_array().unwrap().iter();
        ids.map(|entry| entry["id"].as_str().unwrap().to_owned())
            .collect::<HashSet<_>>()
    };
    let owners = [
        ("datasets", ids("/v1/datasets").await),
        ("adapters", ids("/v1/adapters").await),
        ("jobs", ids("/v1/finetune").await),
    ];
    for (folder, known) in owners {
        let folder = place.data().join("objects").join(folder);
        if !folder.exists() {
            assert!(known.is_empty(), "{known:?}");
            continue;
        }
        let owners: HashSet<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(owners, known);
        for file in files(&folder) {
            assert!(!file.contains('#'), "{file}");
        }
        for checkpoints in known.iter().map(|id| folder.join(id).join("checkpoints")) {
            if checkpoints.exists() {
                assert_eq!(files(&checkpoints).len(), 1, "{:?}", files(&checkpoints));
            }
        }
    }
    // the folder of an attempt goes after its end is told
    let (start, work) = (Instant::now(), place.data().join("work"));
    while !files(&work)
        .iter()
        .all(|file| file.ends_with("/lock") || file == "lock")
    {
        assert!(start.elapsed() < PATIENCE, "{:?}", files(&work));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Starts the service again and lets the job end.
async fn ends_undisturbed(place: &Place, id: &str) -> Value {
    let server = place.serve(&[]);
    let client = server.client();
    let job = client.ended(id).await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    assert_eq!(job["adapter"]["id"], undisturbed().await.adapter);
    client.story(id).await;
    nothing_is_left_over(place, &client).await;
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_a_job_ends_with_the_undisturbed_adapter() {
    let took = undisturbed().await.took;
    let kills = count("NPEDIT_TEST_KILLS", 3);
    let mut resumed = 0;
    for kill in 0..kills {
        // moments that fill the run evenly, in any number
        let share = (0.5 + kill as f64 * 0.618_034).fract();
        let place = Place::embedded();
        let server = place.serve(&[]);
        let client = server.client();
        client.ready().await;
        client.keep_set().await;
        let id = client.submit(json!({})).await;
        tokio::time::sleep(took.mul_f64(share)).await;
        server.kill();
        let job = ends_undisturbed(&place, &id).await;
        resumed += usize::from(job["tries"].as_i64().unwrap() > 1);
    }
    println!(
        "killed at {kills} moments of {:.1} s: every job ended with the same adapter; {resumed} of them were running",
        took.as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_failure_point_a_job_ends_with_the_undisturbed_adapter() {
    if !cfg!(debug_assertions) {
        println!("skipped: failure points are built only with debug assertions");
        return;
    }
    for point in FailurePoint::ALL {
        let place = Place::embedded();
        let mut server = place.serve(&[("NPEDIT_ABORT_AT", point.name())]);
        let client = server.client();
        client.ready().await;
        if point == FailurePoint::SetStored {
            let body = json!({"name": "mine", "items": [crate::client::item(0)]});
            assert!(client.post("/v1/datasets", &body).await.is_err());
            assert!(server.ended(PATIENCE).is_some());
            let server = place.serve(&[]);
            nothing_is_left_over(&place, &server.client()).await;
            continue;
        }
        client.keep_set().await;
        let id = client.submit(json!({})).await;
        let status = server.ended(PATIENCE);
        assert!(!status.unwrap().success());
        assert!(server.log().contains(point.name()), "{}", server.log());
        let job = ends_undisturbed(&place, &id).await;
        let tries = if point == FailurePoint::AfterCommit {
            1
        } else {
            2
        };
        assert_eq!(job["tries"], tries, "{point:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_always_kills_its_process_ends_after_three_tries_and_the_queue_goes_on() {
    if !cfg!(debug_assertions) {
        println!("skipped: failure points are built only with debug assertions");
        return;
    }
    let place = Place::embedded();
    let server = place.serve_alone();
    let client = server.client();
    client.keep_set().await;
    let poison = client.submit(json!({})).await;
    let behind = client.submit(json!({})).await;
    server.kill();
    let mut deaths = 0;
    let variables = [
        ("NPEDIT_ABORT_AT", "claimed"),
        ("NPEDIT_ABORT_OF", &*poison),
    ];
    let server = loop {
        let mut server = place.serve(&variables);
        // the job dies as soon as the models are loaded; the one behind it takes longer
        if server.ended(Duration::from_millis(1)).is_none() && deaths == 3 {
            break server;
        }
        assert!(server.ended(PATIENCE).is_some());
        deaths += 1;
    };
    let client = server.client();
    let job = client.ended(&behind).await;
    assert_eq!(
        (&job["status"], &job["tries"]),
        (&json!("succeeded"), &json!(1)),
        "{job:#}"
    );
    let dead = client.job(&poison).await;
    assert_eq!(dead["status"], "failed", "{dead:#}");
    assert_eq!(dead["error"]["code"], "dead_letter", "{dead:#}");
    assert_eq!(dead["tries"], 3, "{dead:#}");
}

//! Jobs as a client sees them: sets, a run beside the service, its adapter.
use std::{fs, path::Path, time::Duration};

use npedit::config::Config;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{PATIENCE, Scripted, Server, body, problem},
};

/// The smallest recipe that trains with judge and teacher.
const RECIPE: &str = r#"
steps = 3
[batch]
size = 2
micro = 1
[tuning]
rank = 2
[fake_score]
updates = 1
rank = 2
[optimiser]
learning_rate = 1e-2
[samples]
every = 0
rows = 1
"#;

/// Streams of events end after this long without one.
const IDLE: Duration = Duration::from_secs(1);

pub fn small(recipes: &Path) -> impl FnOnce(&mut Config) {
    fs::write(recipes.join("mine.toml"), RECIPE).unwrap();
    for set in ["demo-replay", "nowhere"] {
        let replayed = format!("{RECIPE}[data]\nreplay = {set:?}\nreplay_share = 0.5\n");
        fs::write(recipes.join(format!("{set}.toml")), replayed).unwrap();
    }
    let recipes = recipes.to_owned();
    move |config| {
        config.finetune.recipes_dir = Some(recipes);
        config.finetune.regression_edits = 2;
        config.finetune.max_held_out = 2;
        config.finetune.checkpoint_interval = Duration::ZERO;
    }
}

fn item(instruction: &str, side: u32) -> Value {
    let picture = pictures::encoded(pictures::gradient(side, 48), image::ImageFormat::Png);
    json!({"image": pictures::base64(&picture), "instruction": instruction})
}

pub fn set() -> Value {
    let items: Vec<Value> = (0..5).map(|i| item("make it red", 48 + i)).collect();
    json!({"name": "mine", "items": items})
}

pub async fn post(server: &Server, path: &str, body: &Value) -> reqwest::Response {
    let request = server.client.post(format!("{}{path}", server.url));
    request.json(body).send().await.unwrap()
}

pub async fn got(server: &Server, path: &str) -> Value {
    let response = server.get(path).await;
    assert!(response.status().is_success(), "{path}: {response:?}");
    response.json().await.unwrap()
}

pub async fn ended(server: &Server, id: &str) -> Value {
    let waiting = async {
        loop {
            let job = got(server, &format!("/v1/finetune/{id}")).await;
            if ["succeeded", "failed", "cancelled"].contains(&job["status"].as_str().unwrap()) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(4 * PATIENCE, waiting).await.unwrap()
}

#[tokio::test]
async fn a_job_runs_beside_the_service_and_its_adapter_edits() {
    let recipes = tempfile::tempdir().unwrap();
    let server = Server::judged_with(small(recipes.path())).await;
    let made = post(&server, "/v1/datasets", &set()).await;
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    assert_eq!(made["report"]["rows"], 5);
    assert_eq!(made["report"]["edit_types"]["color"], 5);
    assert_eq!(made["report"]["filled"]["edited_caption"], 5);

    let request = json!({"dataset": "mine", "recipe": "mine", "publish_as": "best"});
    let mut plan = request.clone();
    plan["validate_only"] = true.into();
    let plan: Value = post(&server, "/v1/finetune", &plan)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&plan["rows_trained_on"], &plan["rows_held_out"]),
        (&json!(4), &json!(1))
    );

    let url = format!("{}/v1/finetune", server.url);
    let send = async || {
        let request = server.client.post(&url).json(&request);
        let sent = request
            .header("idempotency-key", "once")
            .send()
            .await
            .unwrap();
        let status = sent.status().as_u16();
        (status, sent.json::<Value>().await.unwrap()["id"].clone())
    };
    let (status, id) = send().await;
    assert_eq!(status, 201);
    assert_eq!(send().await, (200, id.clone()));
    let id = id.as_str().unwrap();
    let in_use = server
        .client
        .delete(format!("{}/v1/datasets/mine", server.url));
    problem(in_use.send().await.unwrap(), 409, "dataset_in_use").await;

    // follows the job to its end
    let events = server.get(&format!("/v1/finetune/{id}/events")).await;
    let events = tokio::time::timeout(4 * PATIENCE, events.text())
        .await
        .unwrap();
    let events: Vec<Value> = events
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let numbers: Vec<i64> = events
        .iter()
        .map(|event| event["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
    let steps = events
        .iter()
        .filter(|event| event["kind"] == "step")
        .count();
    assert_eq!(
        (steps, &events.last().unwrap()["kind"]),
        (3, &json!("succeeded")),
        "{events:#?}"
    );
    let job = ended(&server, id).await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    assert_eq!(job["gate"]["held_out"], 1, "{job:#}");
    assert!(!job["reasons"].as_array().unwrap().is_empty(), "{job:#}");
    let adapter = job["adapter"]["id"].as_str().unwrap();
    let kept = got(&server, &format!("/v1/adapters/{adapter}")).await;
    assert_eq!(kept["lineage"]["job"], *id);
    assert_eq!(kept["lineage"]["dataset"]["name"], "mine");

    let last = server
        .client
        .get(format!("{url}/{id}/events"))
        .header("last-event-id", "1");
    let sse = last
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    let sse = sse.text().await.unwrap();
    assert!(sse.contains("id: 2\n") && !sse.contains("id: 1\n"), "{sse}");
    let metrics = server
        .get(&format!("/v1/finetune/{id}/metrics"))
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(metrics.lines().count(), 3);
    let samples = got(&server, &format!("/v1/finetune/{id}/samples")).await;
    let name = samples["data"][0].as_str().unwrap();
    let png = server
        .get(&format!("/v1/finetune/{id}/samples/{name}"))
        .await;
    assert!(png.bytes().await.unwrap().starts_with(b"\x89PNG"));
    let page = server
        .get(&format!("/v1/finetune/{id}/report"))
        .await
        .text()
        .await
        .unwrap();
    assert!(page.contains("<html"));
    let zip = server
        .get(&format!("/v1/adapters/{adapter}/weights?format=peft"))
        .await;
    assert!(zip.bytes().await.unwrap().starts_with(b"PK"));

    // the adapter edits under the name that it gets
    let alias = format!("{}/v1/adapters/aliases/mine", server.url);
    let put = server
        .client
        .put(&alias)
        .json(&json!({"adapter": adapter, "version": 0}));
    assert_eq!(put.try_clone().unwrap().send().await.unwrap().status(), 200);
    problem(put.send().await.unwrap(), 409, "alias_moved").await;
    let plain = server.edited(&body(json!({"seed": 1}))).await;
    let adapted = server
        .edited(&body(json!({"seed": 1, "adapter": "mine"})))
        .await;
    assert_ne!(plain["images"], adapted["images"]);
    let used = server
        .client
        .delete(format!("{}/v1/adapters/{adapter}", server.url));
    problem(used.send().await.unwrap(), 409, "adapter_in_use").await;

    crate::starts::goes_on_from(&server, adapter).await;
    crate::starts::replays(&server).await;

    let act = async |action: &str| {
        post(&server, &format!("/v1/finetune/{id}/{action}"), &json!({})).await
    };
    problem(act("cancel").await, 409, "job_state_conflict").await;
    problem(act("explode").await, 404, "route_not_found").await;
    let gone = server
        .client
        .delete(format!("{url}/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(gone.status(), 200);
    problem(
        server.get(&format!("/v1/finetune/{id}")).await,
        404,
        "job_not_found",
    )
    .await;
}

#[tokio::test]
async fn jobs_wait_pause_and_are_cancelled() {
    let recipes = tempfile::tempdir().unwrap();
    let small = small(recipes.path());
    let server = Scripted::stub_with(|config| {
        small(config);
        config.finetune.events_idle = IDLE;
    })
    .await;
    let made = post(&server, "/v1/datasets", &set()).await;
    assert_eq!(made.status(), 201);
    problem(
        post(&server, "/v1/datasets", &set()).await,
        409,
        "dataset_name_taken",
    )
    .await;
    let request = json!({"dataset": "mine", "recipe": "mine"});
    let job: Value = post(&server, "/v1/finetune", &request)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(job["status"], "queued");
    let id = job["id"].as_str().unwrap();
    // nobody runs it: the stream tells what there is and ends
    let begun = std::time::Instant::now();
    let events = server.get(&format!("/v1/finetune/{id}/events")).await;
    let events = tokio::time::timeout(PATIENCE, events.text()).await.unwrap();
    assert!(events.unwrap().contains("\"queued\""));
    assert!(begun.elapsed() >= IDLE);
    for (action, status) in [
        ("pause", "paused"),
        ("resume", "queued"),
        ("cancel", "cancelled"),
    ] {
        let job = post(&server, &format!("/v1/finetune/{id}/{action}"), &json!({})).await;
        assert_eq!(
            job.json::<Value>().await.unwrap()["status"],
            status,
            "{action}"
        );
    }
    let listed = got(&server, "/v1/finetune?status=cancelled&limit=1").await;
    assert_eq!(listed["data"][0]["id"], id);
    problem(
        server.get("/v1/finetune?status=x").await,
        400,
        "invalid_request",
    )
    .await;
    problem(
        server.get(&format!("/v1/finetune/{id}/report")).await,
        404,
        "file_not_found",
    )
    .await;
    assert!(
        got(&server, "/v1/datasets").await["data"]
            .as_array()
            .unwrap()
            .len()
            == 1
    );
    assert_eq!(got(&server, "/v1/datasets/demo").await["name"], "demo");
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let recipes = tempfile::tempdir().unwrap();
    let server = Scripted::stub_with(small(recipes.path())).await;
    let refused = async |body: Value, status, code: &str| {
        problem(post(&server, "/v1/finetune", &body).await, status, code).await
    };
    refused(
        json!({"dataset": "no", "recipe": "mine"}),
        404,
        "dataset_not_found",
    )
    .await;
    let unknown = refused(
        json!({"dataset": "demo", "recipe": "no"}),
        400,
        "invalid_request",
    )
    .await;
    assert!(
        unknown["detail"].as_str().unwrap().contains("mine"),
        "{unknown}"
    );
    let overrides = json!({"steps": 0, "rank": -1, "weights": {"judges": 1}});
    let all = refused(
        json!({"dataset": "demo", "recipe": "mine", "overrides": overrides}),
        400,
        "invalid_request",
    )
    .await;
    let mut pointers = crate::support::pointers(&all);
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/overrides/rank",
            "/overrides/steps",
            "/overrides/weights/judges"
        ]
    );
    refused(json!({}), 400, "invalid_request").await;
    problem(
        server.get("/v1/adapters/none").await,
        404,
        "adapter_not_found",
    )
    .await;

    let upload = async |name: &'static str, bytes: Vec<u8>| {
        let part = Part::bytes(bytes).file_name(name);
        let request = server.client.post(format!("{}/v1/datasets", server.url));
        request
            .multipart(Form::new().part("file", part))
            .send()
            .await
            .unwrap()
    };
    let outside = b"{\"image\":\"../a.png\",\"instruction\":\"x\"}\n".to_vec();
    let rows = problem(upload("rows.jsonl", outside).await, 422, "dataset_unusable").await;
    assert_eq!(crate::support::pointers(&rows), ["/rows/1"]);
    problem(
        upload("set.zip", b"PK\x03\x04 no".to_vec()).await,
        422,
        "archive_unusable",
    )
    .await;
    let bomb = vec![0; 3 << 20];
    for (name, content) in [("big.png", &bomb[..]), ("../out.png", b"x")] {
        let trap = upload("set.zip", zip(name, content)).await;
        problem(trap, 422, "archive_unusable").await;
    }
    let one = b"{\"image\":\"a.png\",\"instruction\":\"x\"}\n".to_vec();
    let missing = upload("rows.jsonl", one).await;
    problem(missing, 422, "dataset_unusable").await;
    let none = post(&server, "/v1/datasets", &json!({"items": []})).await;
    problem(none, 400, "invalid_request").await;
}

fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file(name, options).unwrap();
    std::io::Write::write_all(&mut zip, content).unwrap();
    zip.finish().unwrap().into_inner()
}

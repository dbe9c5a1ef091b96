//! What an operator relies on: deadlines, metrics, readiness on the way out, shared batches.
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use serde_json::{Value, json};

use crate::{
    stub::HOLD,
    support::{Scripted, Server, body, pair, problem, until},
};

async fn metrics(server: &Server) -> String {
    let response = server.get("/metrics").await;
    assert_eq!(response.status(), 200);
    let media_type = response.headers()["content-type"].to_str().unwrap();
    assert!(media_type.starts_with("text/plain"), "{media_type}");
    response.text().await.unwrap()
}

/// Sum of all series of `name` whose labels contain `part`. The process counts for all servers of these tests.
fn sum(metrics: &str, name: &str, part: &str) -> f64 {
    let of = |line: &&str| {
        let series = line.split(' ').next().unwrap();
        series.split('{').next() == Some(name) && series.contains(part)
    };
    let values = metrics.lines().filter(of);
    values
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

#[tokio::test]
async fn a_client_says_how_long_it_waits() {
    let server = Scripted::stub().await;
    for (value, path) in [("0.2", "edit"), ("0.2s", "score")] {
        let body = match path {
            "edit" => body(json!({"instruction": HOLD})),
            _ => pair(json!({"instruction": HOLD})),
        };
        let request = server.client.post(format!("{}/v1/{path}", server.url));
        let request = request.header("cancel-after", value).json(&body);
        let late = problem(request.send().await.unwrap(), 504, "deadline_exceeded").await;
        assert!(late["detail"].as_str().unwrap().contains("0.2 s"), "{late}");
        if path == "edit" {
            until("the edit is cancelled", || {
                server.script.cancelled.load(SeqCst) == 1
            })
            .await;
        }
    }
    server.script.open.store(true, SeqCst);
    for value in ["", "soon", "-1", "0", "NaN", "inf", "1m"] {
        let request = server.post().header("cancel-after", value);
        let response = request.json(&body(json!({}))).send().await.unwrap();
        problem(response, 400, "invalid_request").await;
    }
    let request = server.post().header("cancel-after", "1e9");
    let response = request.json(&body(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn edits_that_wait_share_a_batch_and_answer_as_alone() {
    let server = Server::embedded_with(|config| {
        config.engine.queue_depth = 32;
        config.engine.batch_wait = Duration::from_millis(200);
    })
    .await;
    let small = |seed: u64| body(json!({"seed": seed, "steps": 2}));
    let mut alone = Vec::new();
    for seed in 0..8 {
        alone.push(server.edited(&small(seed)).await["images"].clone());
    }
    let before = metrics(&server).await;
    let requests: Vec<_> = (0..8)
        .map(|seed| {
            let request = server.post().json(&small(seed));
            tokio::spawn(async move { request.send().await.unwrap().json::<Value>().await })
        })
        .collect();
    for (seed, request) in requests.into_iter().enumerate() {
        assert_eq!(request.await.unwrap().unwrap()["images"], alone[seed]);
    }
    let after = metrics(&server).await;
    let grown = |name, part| sum(&after, name, part) - sum(&before, name, part);
    let together =
        grown("edit_batch_pictures_count", "") - grown("edit_batch_pictures_bucket", "le=\"1\"");
    assert!(together > 0.0, "no edit shared a batch");
    assert!(grown("edit_cache_total", "hit") >= 16.0, "{after}");
}

#[tokio::test]
async fn prometheus_reads_what_happened() {
    let server = Scripted::stub().await;
    server.edited(&body(json!({"judge": true}))).await;
    server.edit(&body(json!({"n": 0}))).await;
    server.get("/no/such/path").await;
    let text = metrics(&server).await;
    for (name, part) in [
        ("http_requests_total", "status=\"400\""),
        ("http_requests_total", "route=\"none\""),
        ("http_request_seconds_count", "route=\"/v1/edit\""),
        ("edit_queue_seconds_count", ""),
        ("edit_stage_seconds_count", "stage=\"judge\""),
        ("edit_queue_capacity", ""),
        ("model_info", "role=\"editor\""),
        ("model_info", "role=\"judge\""),
    ] {
        assert!(sum(&text, name, part) >= 1.0, "{name} {part}\n{text}");
    }
    if cfg!(target_os = "linux") {
        assert!(sum(&text, "process_resident_memory_bytes", "") > 1e6);
    }
    assert!(!text.contains("/no/such/path"));
}

#[tokio::test]
async fn a_server_on_its_way_out_is_not_ready_but_serves() {
    let mut server =
        Server::embedded_with(|config| config.server.drain_delay = Duration::from_secs(5)).await;
    server.stop();
    let draining = async {
        loop {
            let response = server.get("/health/ready").await;
            if response.status() == 503 {
                return problem(response, 503, "not_ready").await;
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(4), draining).await;
    assert!(told.unwrap()["detail"].as_str().unwrap().contains("stop"));
    server.edited(&body(json!({"steps": 1}))).await;
}

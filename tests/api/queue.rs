//! Admission, clients that leave, and an editor that breaks.
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use serde_json::json;

use crate::{
    stub::{HOLD, PANIC},
    support::{Scripted, body, problem, refused, until},
};

/// A request whose edit the editor holds.
fn held(server: &Scripted) -> tokio::task::JoinHandle<reqwest::Response> {
    let request = server.post().json(&body(json!({"instruction": HOLD})));
    tokio::spawn(async move { request.send().await.unwrap() })
}

async fn started(server: &Scripted, edits: usize) {
    // The warm-up is one more.
    until("the edit starts", || {
        server.script.started.load(SeqCst) == edits + 1
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_is_a_503_that_says_when_to_come_back() {
    let server = Scripted::stub_with(|config| config.engine.queue_depth = 1).await;
    let running = held(&server);
    started(&server, 1).await;
    let waiting = held(&server);
    let full = loop {
        // The second request may still be on its way to its place.
        let response = server
            .post()
            .json(&body(json!({})))
            .timeout(Duration::from_millis(300))
            .send()
            .await;
        if let Ok(response) = response {
            break response;
        }
    };
    let retry_after: u64 = full.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=120).contains(&retry_after));
    let refused = problem(full, 503, "overloaded").await;
    assert!(
        refused["detail"].as_str().unwrap().contains("the limit"),
        "{refused}"
    );
    assert_eq!(refused["error"]["type"], "overloaded_error");
    server.script.open.store(true, SeqCst);
    for request in [running, waiting] {
        assert_eq!(request.await.unwrap().status(), 200);
    }
    server.edited(&body(json!({}))).await;
}

#[tokio::test]
async fn an_edit_whose_client_left_stops_between_steps() {
    let server = Scripted::stub().await;
    let running = held(&server);
    started(&server, 1).await;
    running.abort();
    until("the edit is cancelled", || {
        server.script.cancelled.load(SeqCst) == 1
    })
    .await;
    server.edited(&body(json!({}))).await;
}

#[tokio::test]
async fn a_waiting_edit_whose_client_left_never_starts() {
    let server = Scripted::stub_with(|config| config.engine.queue_depth = 1).await;
    let running = held(&server);
    started(&server, 1).await;
    let waiting = held(&server);
    tokio::time::sleep(Duration::from_millis(300)).await;
    waiting.abort();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.script.open.store(true, SeqCst);
    assert_eq!(running.await.unwrap().status(), 200);
    server.edited(&body(json!({}))).await;
    // Warm-up, the held one and the last one.
    assert_eq!(server.script.started.load(SeqCst), 3);
}

#[tokio::test]
async fn an_edit_that_takes_too_long_is_a_504_and_stops() {
    let server =
        Scripted::stub_with(|config| config.server.edit_timeout = Duration::from_millis(200)).await;
    refused(
        &server,
        &body(json!({"instruction": HOLD})),
        504,
        "deadline_exceeded",
    )
    .await;
    until("the edit is cancelled", || {
        server.script.cancelled.load(SeqCst) == 1
    })
    .await;
}

#[tokio::test]
async fn a_panic_is_a_500_without_internals_and_the_device_lives_on() {
    let server = Scripted::stub().await;
    for _ in 0..3 {
        let problem = refused(
            &server,
            &body(json!({"instruction": PANIC})),
            500,
            "internal",
        )
        .await;
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
    server.edited(&body(json!({}))).await;
}

#[tokio::test]
async fn concurrent_requests_are_all_answered_each_with_its_own() {
    let server = Scripted::stub_with(|config| config.engine.queue_depth = 40).await;
    let requests: Vec<_> = (0..32)
        .map(|seed| {
            let request = server.post().json(&body(json!({"seed": seed})));
            tokio::spawn(async move {
                request
                    .send()
                    .await
                    .unwrap()
                    .json::<serde_json::Value>()
                    .await
                    .unwrap()
            })
        })
        .collect();
    for (seed, request) in requests.into_iter().enumerate() {
        let answer = request.await.unwrap();
        assert_eq!(answer["images"][0]["seed"], seed, "{answer}");
    }
}

#[tokio::test]
async fn refused_requests_give_their_place_back() {
    let server = Scripted::stub_with(|config| config.engine.queue_depth = 1).await;
    for _ in 0..10 {
        refused(&server, &body(json!({"n": 0})), 400, "invalid_request").await;
        refused(
            &server,
            &body(json!({"image": "aGVsbG8="})),
            422,
            "unsupported_image_format",
        )
        .await;
    }
    server.edited(&body(json!({}))).await;
}

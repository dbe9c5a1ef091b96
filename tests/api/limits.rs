//! How much one key may send, and have at once.
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use npedit::access::{Scope, Secret};
use reqwest::{Method, Response};
use serde_json::json;

use crate::{
    keys::request,
    stub::HOLD,
    support::{Scripted, body, problem, until},
};

const BOTH: [Scope; 2] = [Scope::Edit, Scope::Score];

fn number(response: &Response, name: &str) -> u64 {
    response.headers()[name].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_key_that_sends_too_much_waits_and_others_do_not() {
    let server = Scripted::stub_with(|config| config.auth.requests_per_minute = 3).await;
    let (one, other) = (
        server.key("one", &BOTH).await,
        server.key("other", &BOTH).await,
    );
    let models = async |key: &Secret| {
        let request = request(&server, &Method::GET, "/v1/models", Some(key));
        request.send().await.unwrap()
    };
    for left in [2, 1, 0] {
        let answer = models(&one).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(number(&answer, "ratelimit-limit"), 3);
        assert_eq!(number(&answer, "ratelimit-remaining"), left);
        assert!((1..=60).contains(&number(&answer, "ratelimit-reset")));
    }
    let refused = models(&one).await;
    assert!((1..=20).contains(&number(&refused, "retry-after")));
    assert_eq!(number(&refused, "ratelimit-remaining"), 0);
    let told = problem(refused, 429, "rate_limit_exceeded").await;
    assert_eq!(told["error"]["type"], "rate_limit_error");
    assert_eq!(models(&other).await.status(), 200);
    assert_eq!(server.get("/health/ready").await.status(), 200);
    // requests that are not let in cost nobody anything
    for _ in 0..5 {
        let wrong = models(&Secret::draw().unwrap()).await;
        problem(wrong, 401, "invalid_api_key").await;
    }
    assert_eq!(models(&other).await.status(), 200);
}

#[tokio::test]
async fn a_key_has_so_many_requests_at_once_and_reading_is_free() {
    let server = Scripted::stub_with(|config| config.auth.max_concurrent = 1).await;
    let (one, other) = (
        server.key("one", &BOTH).await,
        server.key("other", &BOTH).await,
    );
    let edit = |key: &Secret, fields| {
        let request = request(&server, &Method::POST, "/v1/edit", Some(key));
        request.json(&body(fields))
    };
    let started = || server.script.started.load(SeqCst);
    let before = started();
    let held = edit(&one, json!({"instruction": HOLD})).send();
    let held = tokio::spawn(held);
    until("the edit runs", || started() > before).await;
    let refused = edit(&one, json!({})).send().await.unwrap();
    assert_eq!(number(&refused, "retry-after"), 1);
    problem(refused, 429, "concurrency_limit_exceeded").await;
    let models = request(&server, &Method::GET, "/v1/models", Some(&one));
    assert_eq!(models.send().await.unwrap().status(), 200);
    let others = edit(&other, json!({"n": 0})).send().await.unwrap();
    problem(others, 400, "invalid_request").await;
    server.script.open.store(true, SeqCst);
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    until_let_in(async || edit(&one, json!({})).send().await.unwrap()).await;
}

#[tokio::test]
async fn an_edit_for_later_counts_until_it_is_done() {
    let server = Scripted::stub_with(|config| config.auth.max_concurrent = 1).await;
    let key = server.key("one", &BOTH).await;
    let edit = |fields| {
        let request = request(&server, &Method::POST, "/v1/edit", Some(&key));
        request.json(&body(fields))
    };
    let later = edit(json!({"instruction": HOLD})).header("prefer", "respond-async");
    assert_eq!(later.send().await.unwrap().status(), 202);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = edit(json!({})).send().await.unwrap();
    problem(refused, 429, "concurrency_limit_exceeded").await;
    server.script.open.store(true, SeqCst);
    until_let_in(async || edit(json!({})).send().await.unwrap()).await;
}

#[tokio::test]
async fn a_stream_counts_until_its_end() {
    let server = Scripted::stub_with(|config| config.auth.max_concurrent = 1).await;
    let key = server.key("one", &BOTH).await;
    let edit = |fields| {
        let request = request(&server, &Method::POST, "/v1/edit", Some(&key));
        request.json(&body(fields))
    };
    let stream = edit(json!({"instruction": HOLD})).header("accept", "text/event-stream");
    let stream = stream.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let refused = edit(json!({})).send().await.unwrap();
    problem(refused, 429, "concurrency_limit_exceeded").await;
    server.script.open.store(true, SeqCst);
    assert!(stream.text().await.unwrap().contains("event: result"));
    until_let_in(async || edit(json!({})).send().await.unwrap()).await;
}

/// The place is free a moment after the client has read the answer.
async fn until_let_in(send: impl AsyncFn() -> Response) {
    for _ in 0..200 {
        let answer = send().await;
        if answer.status() != 429 {
            assert_eq!(answer.status(), 200);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never let in again");
}

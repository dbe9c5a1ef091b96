//! Scores in the queue: admission, clients that leave, and a judge that breaks.
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use serde_json::{Value, json};

use crate::{
    stub::{BROKEN, HOLD, PANIC},
    support::{Scripted, body, pair, problem, refused, score_refused, until},
};

/// A request whose scores the judge holds.
fn held(server: &Scripted, items: usize) -> tokio::task::JoinHandle<reqwest::Response> {
    let items: Value = (0..items)
        .map(|_| pair(json!({"instruction": HOLD})))
        .collect();
    let request = server.post_score().json(&json!({"items": items}));
    tokio::spawn(async move { request.send().await.unwrap() })
}

async fn scoring(server: &Scripted) {
    // The warm-up is one more.
    until("the score starts", || {
        server.script.scored.load(SeqCst) == 2
    })
    .await;
}

#[tokio::test]
async fn the_warm_up_scores_once() {
    let server = Scripted::stub().await;
    assert_eq!(server.script.scored.load(SeqCst), 1);
    let without = Scripted::stub_with(|config| config.judge.enabled = false).await;
    assert_eq!(without.script.scored.load(SeqCst), 0);
}

#[tokio::test]
async fn scores_and_edits_share_one_bounded_queue() {
    let server = Scripted::stub_with(|config| config.engine.queue_depth = 1).await;
    let running = held(&server, 1);
    scoring(&server).await;
    let waiting = held(&server, 1);
    let full = loop {
        // The second request may still be on its way to its place.
        let edit = server
            .post()
            .json(&body(json!({})))
            .timeout(Duration::from_millis(300));
        if let Ok(response) = edit.send().await {
            break response;
        }
    };
    assert!(full.headers().contains_key("retry-after"));
    problem(full, 503, "overloaded").await;
    score_refused(&server, &pair(json!({})), 503, "overloaded").await;
    server.script.open.store(true, SeqCst);
    for request in [running, waiting] {
        assert_eq!(request.await.unwrap().status(), 200);
    }
    server.scored(&pair(json!({}))).await;
}

#[tokio::test]
async fn a_request_whose_client_left_stops_between_two_passes() {
    let server = Scripted::stub_with(|config| config.engine.max_batch = 1).await;
    let running = held(&server, 4);
    scoring(&server).await;
    running.abort();
    // The server has to hear of it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.script.open.store(true, SeqCst);
    server.scored(&pair(json!({}))).await;
    // Warm-up, the pair that was held, and the last request.
    assert_eq!(server.script.scored.load(SeqCst), 3);
}

#[tokio::test]
async fn scores_that_wait_together_share_a_pass_and_a_bad_one_fails_alone() {
    let server = Scripted::stub().await;
    let running = held(&server, 1);
    scoring(&server).await;
    let ask = |instruction: &str| {
        let request = server.post_score();
        let request = request.json(&pair(json!({"instruction": instruction})));
        tokio::spawn(async move { request.send().await.unwrap().status() })
    };
    let waiting = [ask("one"), ask(BROKEN), ask("two")];
    // they have to reach the queue
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.script.open.store(true, SeqCst);
    assert_eq!(running.await.unwrap().status(), 200);
    let mut answers = Vec::new();
    for request in waiting {
        answers.push(request.await.unwrap().as_u16());
    }
    assert_eq!(answers, [200, 500, 200]);
    // warm-up, the one that was held, and three at once
    assert_eq!(*server.script.passes.lock().unwrap(), [1, 1, 3]);
    let (good, bad) = (ask("three"), ask(PANIC));
    assert_eq!(
        [good.await.unwrap().as_u16(), bad.await.unwrap().as_u16()],
        [200, 500]
    );
}

#[tokio::test]
async fn scores_that_take_too_long_are_a_504() {
    let server =
        Scripted::stub_with(|config| config.server.edit_timeout = Duration::from_millis(200)).await;
    let slow = pair(json!({"instruction": HOLD}));
    score_refused(&server, &slow, 504, "deadline_exceeded").await;
    server.script.open.store(true, SeqCst);
    server.scored(&pair(json!({}))).await;
}

#[tokio::test]
async fn a_judge_that_breaks_is_a_500_without_internals_and_the_device_lives_on() {
    let server = Scripted::stub().await;
    for instruction in [PANIC, BROKEN] {
        let pair = pair(json!({"instruction": instruction}));
        let problem = score_refused(&server, &pair, 500, "internal").await;
        assert!(!problem.to_string().contains("secret"), "{problem}");
        assert!(!problem.to_string().contains("weights"), "{problem}");
    }
    let edit = body(json!({"instruction": BROKEN, "judge": true}));
    refused(&server, &edit, 500, "internal").await;
    server.scored(&pair(json!({}))).await;
}

#[tokio::test]
async fn refused_scores_give_their_place_back() {
    let server = Scripted::stub_with(|config| config.engine.queue_depth = 1).await;
    for _ in 0..10 {
        let bad = pair(json!({"edit_type": "x"}));
        score_refused(&server, &bad, 400, "invalid_request").await;
    }
    server.scored(&pair(json!({}))).await;
}

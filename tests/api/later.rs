//! Edits whose clients come back for the answer.
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    stub::{HOLD, PANIC},
    support::{Scripted, Server, body, problem, until},
};

async fn asked(server: &Server, fields: Value, accept: &str) -> Value {
    let request = server.post().header("prefer", "respond-async, wait=5");
    let request = request.header("accept", accept).json(&body(fields));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["preference-applied"], "respond-async");
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let pending: Value = response.json().await.unwrap();
    assert_eq!(
        (&pending["url"], &pending["status"]),
        (&json!(location), &json!("running"))
    );
    pending
}

async fn answer(server: &Server, pending: &Value) -> Response {
    loop {
        let response = server.get(pending["url"].as_str().unwrap()).await;
        if response.status() != 202 {
            return response;
        }
        assert_eq!(response.headers()["retry-after"], "1");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_answer_is_there_later_in_the_form_that_was_asked_for() {
    let server = Scripted::stub().await;
    let now = server.edited(&body(json!({"seed": 5}))).await;
    let pending = asked(&server, json!({"seed": 5}), "*/*").await;
    let later: Value = answer(&server, &pending).await.json().await.unwrap();
    assert_eq!(
        (&later["images"], &later["receipt"]),
        (&now["images"], &now["receipt"])
    );
    let raw = asked(&server, json!({"seed": 5}), "image/png").await;
    let raw = answer(&server, &raw).await;
    assert_eq!(raw.headers()["content-type"], "image/png");
    assert_eq!(raw.headers()["x-edit-seed"], "5");
}

#[tokio::test]
async fn failures_are_kept_too_and_refusals_come_at_once() {
    let server = Scripted::stub().await;
    let pending = asked(&server, json!({"instruction": PANIC}), "*/*").await;
    problem(answer(&server, &pending).await, 500, "internal").await;
    let request = server.post().header("prefer", "respond-async");
    let response = request.json(&body(json!({"n": 0}))).send().await.unwrap();
    problem(response, 400, "invalid_request").await;
    let none = server.get("/v1/edit/results/edit_0").await;
    problem(none, 404, "result_not_found").await;
}

#[tokio::test]
async fn taking_it_back_stops_the_edit() {
    let server = Scripted::stub().await;
    let pending = asked(&server, json!({"instruction": HOLD}), "*/*").await;
    until("the edit starts", || {
        server.script.started.load(SeqCst) == 2
    })
    .await;
    let url = format!("{}{}", server.url, pending["url"].as_str().unwrap());
    let deleted = server.client.delete(&url).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    until("the edit is cancelled", || {
        server.script.cancelled.load(SeqCst) == 1
    })
    .await;
    problem(
        server.client.delete(&url).send().await.unwrap(),
        404,
        "result_not_found",
    )
    .await;
}

#[tokio::test]
async fn answers_expire() {
    let server = Scripted::stub_with(|config| config.results.ttl = Duration::from_millis(50)).await;
    let pending = asked(&server, json!({}), "*/*").await;
    until("the edit ends", || server.script.finished.load(SeqCst) == 2).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let gone = server.get(pending["url"].as_str().unwrap()).await;
    problem(gone, 404, "result_not_found").await;
}

//! Requests for scores whose fields cannot be used.
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{Scripted, pair, pointers, problem, score_refused},
};

async fn invalid(server: &Scripted, body: &Value) -> Value {
    score_refused(server, body, 400, "invalid_request").await
}

fn message(problem: &Value) -> &str {
    problem["errors"][0]["message"].as_str().unwrap()
}

fn questions(count: usize) -> Value {
    (0..count)
        .map(|i| json!({"text": format!("{i}?"), "expected": "yes"}))
        .collect()
}

#[tokio::test]
async fn an_unknown_edit_type_lists_the_valid_ones() {
    let server = Scripted::stub().await;
    let refused = invalid(&server, &pair(json!({"edit_type": "colour"}))).await;
    assert_eq!(pointers(&refused), ["/edit_type"]);
    assert!(
        message(&refused).contains("add, remove, replace, shape, action, style, text, color"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_thousand_questions_are_too_many_and_sixteen_are_not() {
    let server = Scripted::stub().await;
    let refused = invalid(&server, &pair(json!({"questions": questions(1000)}))).await;
    assert_eq!(pointers(&refused), ["/questions"]);
    assert!(message(&refused).contains("1000") && message(&refused).contains("16"));
    let answer = server
        .scored(&pair(json!({"questions": questions(16)})))
        .await;
    assert_eq!(answer["questions"].as_array().unwrap().len(), 16);
    invalid(&server, &pair(json!({"questions": questions(17)}))).await;
}

#[tokio::test]
async fn every_mistake_of_a_question_has_its_pointer() {
    let server = Scripted::stub().await;
    for (question, pointer) in [
        (json!({"text": "x?"}), "/questions/1/expected"),
        (
            json!({"text": "x?", "expected": "maybe"}),
            "/questions/1/expected",
        ),
        (
            json!({"text": "x?", "expected": true}),
            "/questions/1/expected",
        ),
        (json!({"expected": "no"}), "/questions/1/text"),
        (json!({"text": " ", "expected": "no"}), "/questions/1/text"),
        (
            json!({"text": "x".repeat(3000), "expected": "no"}),
            "/questions/1/text",
        ),
        (
            json!({"text": "x?", "expected": "no", "shows": "none"}),
            "/questions/1/shows",
        ),
        (
            json!({"text": "x?", "expected": "no", "weight": 2}),
            "/questions/1/weight",
        ),
        (json!("x?"), "/questions/1"),
    ] {
        let list = json!([{"text": "ok?", "expected": "no"}, question]);
        let refused = invalid(&server, &pair(json!({"questions": list}))).await;
        assert_eq!(pointers(&refused), [pointer], "{question}");
    }
    let refused = invalid(&server, &pair(json!({"questions": "x?"}))).await;
    assert_eq!(pointers(&refused), ["/questions"]);
}

#[tokio::test]
async fn every_mistake_is_reported_at_once() {
    let server = Scripted::stub().await;
    let body = json!({"edited": "!", "instruction": "", "edit_type": 3, "object": " ", "seed": 1});
    let refused = invalid(&server, &body).await;
    assert_eq!(
        pointers(&refused),
        [
            "/reference",
            "/edited",
            "/instruction",
            "/edit_type",
            "/object",
            "/seed"
        ]
    );
    let long = "x".repeat(9000);
    let refused = invalid(&server, &pair(json!({"instruction": long, "object": long}))).await;
    assert_eq!(pointers(&refused), ["/instruction", "/object"]);
}

#[tokio::test]
async fn one_bad_item_refuses_the_batch_with_its_place() {
    let server = Scripted::stub().await;
    let mut items: Vec<_> = (0..4).map(|_| pair(json!({}))).collect();
    items[1] = pair(json!({"questions": [{"text": "x?"}]}));
    items[3] = pair(json!({"instruction": null, "extra": 1}));
    let refused = invalid(&server, &json!({"items": items})).await;
    assert_eq!(
        pointers(&refused),
        [
            "/items/1/questions/0/expected",
            "/items/3/instruction",
            "/items/3/extra"
        ]
    );
    for (items, pointer) in [
        (json!([]), "/items"),
        (json!({}), "/items"),
        (json!([1]), "/items/0"),
        ((0..17).map(|_| pair(json!({}))).collect(), "/items"),
    ] {
        let refused = invalid(&server, &json!({"items": items})).await;
        assert_eq!(pointers(&refused), [pointer]);
    }
    let mut both = pair(json!({}));
    both["items"] = json!([pair(json!({}))]);
    let refused = invalid(&server, &both).await;
    assert_eq!(
        pointers(&refused),
        ["/edited", "/instruction", "/reference"]
    );
}

#[tokio::test]
async fn the_images_of_a_request_are_bounded_together() {
    let server = Scripted::stub_with(|config| config.images.max_pixels = 48 * 32).await;
    let pairs = |count| -> Value { (0..count).map(|_| pair(json!({}))).collect() };
    let answer = server.scored(&json!({"items": pairs(2)})).await;
    assert_eq!(answer["items"].as_array().unwrap().len(), 2);
    let body = json!({"items": pairs(3)});
    let refused = score_refused(&server, &body, 413, "image_too_large").await;
    assert_eq!(pointers(&refused), ["/items/2/reference"]);
}

#[tokio::test]
async fn multipart_takes_the_same_fields() {
    let server = Scripted::stub().await;
    let form = || {
        Form::new()
            .part("reference", Part::bytes(pictures::png()))
            .text("instruction", "x")
    };
    let whole = form().part("edited", Part::bytes(pictures::png()));
    let good = server.post_score().multipart(whole).send().await.unwrap();
    assert_eq!(good.status(), 200);
    let bad = form()
        .text("questions", "[")
        .text("items", "[]")
        .text("edit_type", "hat");
    let response = server.post_score().multipart(bad).send().await.unwrap();
    let refused = problem(response, 400, "invalid_request").await;
    assert_eq!(
        pointers(&refused),
        ["/questions", "/edited", "/edit_type", "/items"]
    );
    let typed = server
        .post_score()
        .header("content-type", "text/plain")
        .body("x");
    problem(typed.send().await.unwrap(), 415, "unsupported_media_type").await;
    let torn = server
        .post_score()
        .header("content-type", "application/json")
        .body("{");
    problem(torn.send().await.unwrap(), 400, "malformed_json").await;
    let many = server
        .post_score()
        .header("content-type", "multipart/form-data")
        .body("x");
    problem(many.send().await.unwrap(), 400, "malformed_multipart").await;
}

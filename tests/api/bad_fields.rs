//! Fields that cannot be used are refused with a pointer and an advice, all of them at once.
use serde_json::{Value, json};

use crate::support::{Scripted, Server, body, pointers, problem, refused};

#[tokio::test]
async fn each_bad_value_is_named() {
    let server = Scripted::stub().await;
    for (fields, pointer, advice) in [
        (json!({"image": null}), "/image", "add it"),
        (json!({"image": 5}), "/image", "must be a string"),
        (json!({"image": ""}), "/image", "is empty"),
        (json!({"image": "image!!"}), "/image", "character 6"),
        (json!({"image": "data:image/png,raw"}), "/image", ";base64,"),
        (json!({"instruction": null}), "/instruction", "add it"),
        (
            json!({"instruction": ""}),
            "/instruction",
            "say what to change",
        ),
        (
            json!({"instruction": " \n\t"}),
            "/instruction",
            "say what to change",
        ),
        (
            json!({"instruction": ["a"]}),
            "/instruction",
            "must be a string, not an array",
        ),
        (
            json!({"instruction": "x".repeat(100_000)}),
            "/instruction",
            "the limit is 8192",
        ),
        (json!({"n": 0}), "/n", "from 1 to 10, not 0"),
        (json!({"n": 11}), "/n", "from 1 to 10, not 11"),
        (json!({"n": "2"}), "/n", "not \"2\""),
        (json!({"n": true}), "/n", "not true"),
        (json!({"steps": 0}), "/steps", "from 1 to 8"),
        (json!({"steps": 9}), "/steps", "from 1 to 8"),
        (json!({"steps": 2.5}), "/steps", "not 2.5"),
        (json!({"steps": -1}), "/steps", "not -1"),
        (json!({"seed": -1}), "/seed", "not -1"),
        (json!({"seed": 0.5}), "/seed", "not 0.5"),
        (json!({"seed": 1e300}), "/seed", "whole number"),
        (json!({"seed": u64::MAX}), "/seed", "whole number"),
        (json!({"size": "0x0"}), "/size", "out of range"),
        (json!({"size": "abc"}), "/size", "WIDTHxHEIGHT"),
        (json!({"size": "-5x5"}), "/size", "WIDTHxHEIGHT"),
        (json!({"size": "40000x40000"}), "/size", "out of range"),
        (json!({"size": 512}), "/size", "must be a string"),
        (json!({"output_format": "gif"}), "/output_format", "png"),
        (
            json!({"output_format": 1}),
            "/output_format",
            "must be a string",
        ),
        (
            json!({"output_format": "jpeg", "quality": 0}),
            "/quality",
            "from 1 to 100",
        ),
        (
            json!({"output_format": "jpeg", "quality": 101}),
            "/quality",
            "from 1 to 100",
        ),
        (
            json!({"output_format": "png", "quality": 50}),
            "/quality",
            "without loss",
        ),
        (
            json!({"output_format": "webp", "quality": 50}),
            "/quality",
            "without loss",
        ),
        (json!({"quality": 50}), "/quality", "without loss"),
        (
            json!({"prompt": "make it blue"}),
            "/prompt",
            "the fields are image, instruction",
        ),
        (json!({"a/b~c": 1}), "/a~1b~0c", "is not a field"),
    ] {
        let problem = refused(&server, &body(fields.clone()), 400, "invalid_request").await;
        assert_eq!(pointers(&problem), [pointer], "{fields}");
        let message = problem["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(advice), "{fields}: {message}");
    }
}

#[tokio::test]
async fn all_bad_fields_are_reported_together() {
    let server = Scripted::stub().await;
    let fields = json!({"image": "!", "instruction": "", "n": 0, "steps": 9, "seed": -1, "size": "abc", "output_format": "gif", "more": 1});
    let problem = refused(&server, &body(fields), 400, "invalid_request").await;
    assert_eq!(
        pointers(&problem),
        [
            "/image",
            "/instruction",
            "/n",
            "/steps",
            "/seed",
            "/size",
            "/output_format",
            "/more"
        ]
    );
    assert_eq!(problem["error"]["param"], "image");
    assert_eq!(problem["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn limits_come_from_the_settings() {
    let server = Scripted::stub_with(|config| {
        config.edit.max_n = 2;
        config.edit.max_steps = 3;
        config.edit.instruction_max_bytes = 4;
    })
    .await;
    let fields = json!({"n": 3, "steps": 4, "instruction": "12345"});
    let problem = refused(&server, &body(fields), 400, "invalid_request").await;
    assert_eq!(pointers(&problem), ["/instruction", "/n", "/steps"]);
}

async fn send(server: &Server, text: &str) -> reqwest::Response {
    let request = server.post().header("content-type", "application/json");
    request.body(text.to_owned()).send().await.unwrap()
}

#[tokio::test]
async fn what_is_not_a_json_object_is_said_so() {
    let server = Scripted::stub().await;
    let deep = "[".repeat(50_000);
    for text in [
        "",
        "{",
        "[]",
        "5",
        "null",
        "\"x\"",
        "{} {}",
        r#"{"n": NaN}"#,
        r#"{"n": Infinity}"#,
        r#"{"n": 1e999}"#,
        &deep,
    ] {
        problem(send(&server, text).await, 400, "malformed_json").await;
    }
}

#[tokio::test]
async fn a_field_cannot_be_given_twice() {
    let server = Scripted::stub().await;
    let text = body(json!({"n": 1}))
        .to_string()
        .replacen(r#""n":1"#, r#""n":1,"n":2"#, 1);
    let problem = problem(send(&server, &text).await, 400, "invalid_request").await;
    assert_eq!(pointers(&problem), ["/n"]);
}

#[tokio::test]
async fn a_flood_of_unknown_fields_is_answered_shortly() {
    let server = Scripted::stub().await;
    let mut flood: Value = body(json!({}));
    for i in 0..2000 {
        flood[format!("{i}{}", "x".repeat(500))] = json!(1);
    }
    let problem = refused(&server, &flood, 400, "invalid_request").await;
    assert_eq!(pointers(&problem).len(), 32);
    assert!(problem.to_string().len() < 40_000);
}

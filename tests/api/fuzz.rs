//! Whatever is sent, the server refuses it or edits it: it never breaks.
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    test_runner::TestRunner,
};
use serde_json::{Map, Value, json};

use crate::{
    pictures,
    support::{Scripted, body, pair},
};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        (-2i64..12).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        prop_oneof!["auto", "png", "jpeg", "0x0", "32x32", "data:;base64,AAAA"]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map("[a-z_]{1,8}", inner, 0..5).prop_map(|map| Value::from(Map::from_iter(map))),
        ]
    })
}

/// Bodies close to good ones: known fields with any value.
fn any_body() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "image",
        "instruction",
        "n",
        "steps",
        "seed",
        "size",
        "output_format",
        "quality",
        "receipt",
        "judge",
        "best_of",
        "min_score",
        "edit_type",
        "object",
        "[a-z]{1,6}"
    ];
    btree_map(name, any_json(), 0..4).prop_map(|fields| {
        let mut good = body(json!({}));
        good.as_object_mut().unwrap().extend(fields);
        good
    })
}

/// Requests for scores close to good ones.
fn any_pair() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "reference",
        "edited",
        "instruction",
        "edit_type",
        "object",
        "questions",
        "items",
        "[a-z]{1,6}"
    ];
    btree_map(name, any_json(), 0..4).prop_map(|fields| {
        let mut good = pair(json!({}));
        good.as_object_mut().unwrap().extend(fields.clone());
        match fields.contains_key("object") {
            true => json!({"items": [good]}),
            false => good,
        }
    })
}

/// Receipts close to a good one.
fn any_receipt(good: Value) -> impl Strategy<Value = Value> {
    let names: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
    btree_map(proptest::sample::select(names), any_json(), 0..3).prop_map(move |fields| {
        let mut receipt = good.clone();
        receipt.as_object_mut().unwrap().extend(fields);
        json!({"image": pictures::base64(&pictures::png()), "receipt": receipt})
    })
}

/// Runs cases one by one on the server's own runtime.
fn run<S: Strategy>(
    server: &Scripted,
    strategy: &S,
    send: impl AsyncFn(S::Value) -> (u16, String),
) {
    let handle = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 250,
        ..ProptestConfig::default()
    });
    let result = runner.run(strategy, |value| {
        let (status, text) = tokio::task::block_in_place(|| handle.block_on(send(value)));
        prop_assert!(status < 500, "{status} {text}");
        let known = status == 200
            || serde_json::from_str::<Value>(&text)
                .is_ok_and(|body| body["error"]["code"].is_string());
        prop_assert!(known, "{status} {text}");
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(server.engine.profile().is_ok());
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_json_body() {
    let server = Scripted::stub().await;
    run(&server, &any_json(), async |json| {
        answer(server.post().json(&json)).await
    });
    run(&server, &any_body(), async |json| {
        answer(server.post().json(&json)).await
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn any_request_for_scores() {
    let server = Scripted::stub().await;
    run(&server, &any_json(), async |json| {
        answer(server.post_score().json(&json)).await
    });
    run(&server, &any_pair(), async |json| {
        answer(server.post_score().json(&json)).await
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn any_receipt_near_a_good_one() {
    let server = Scripted::stub().await;
    let good = server.edited(&body(json!({"output_format": "jpeg"}))).await["receipt"].clone();
    run(&server, &any_receipt(good), async |json| {
        answer(server.post().json(&json)).await
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes() {
    let server = Scripted::stub().await;
    for content_type in ["application/json", "multipart/form-data; boundary=b"] {
        let bytes = vec(any::<u8>(), 0..200);
        run(&server, &bytes, async |bytes| {
            answer(
                server
                    .post()
                    .header("content-type", content_type)
                    .body(bytes),
            )
            .await
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_file_near_an_image() {
    let server = Scripted::stub().await;
    let png = pictures::png();
    let changes = vec((0..png.len(), any::<u8>()), 1..6);
    run(&server, &changes, async |changes| {
        let mut bytes = png.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        answer(
            server
                .post()
                .json(&body(json!({"image": pictures::base64(&bytes)}))),
        )
        .await
    });
}

//! Whatever is sent, the server refuses it or edits it: it never breaks.
use npedit::access::Scope;
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
        let known = (200..300).contains(&status)
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

/// Values close to good ones, and any bytes that a header may have.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let near = prop_oneof![
        "Bearer [ -~]{0,60}",
        "(image|application|text)/(png|json|event-stream|[*])(;q=[0-9.]{0,4})?",
        "-?[1-9][0-9]{1,19}(\\.[0-9]{0,5})?s?",
        "(respond-async|wait=[0-9]{1,3}|[a-z=;, ]{0,20})",
        "00-[0-9a-f]{0,33}-[0-9a-f]{0,17}-0[01]",
    ];
    let any = vec(prop_oneof![0x20u8..0x7f, 0x80u8..], 0..80);
    prop_oneof![near.prop_map(String::into_bytes), any]
}

#[tokio::test(flavor = "multi_thread")]
async fn any_headers() {
    let name = || {
        prop_oneof![
            "authorization",
            "accept",
            "prefer",
            "cancel-after",
            "idempotency-key",
            "last-event-id",
            "x-request-id",
            "traceparent",
            "origin",
            "content-encoding",
            "x-[a-z]{1,8}",
        ]
    };
    let headers = || vec((name(), any_value()), 0..6);
    let sent = |request: reqwest::RequestBuilder, headers: Vec<(String, Vec<u8>)>| {
        let add = |request: reqwest::RequestBuilder, (name, value): (String, Vec<u8>)| {
            request.header(name, value)
        };
        answer(headers.into_iter().fold(request, add))
    };
    let server = Scripted::stub().await;
    let good = body(json!({"steps": 1}));
    run(&server, &headers(), async |headers| {
        sent(server.post().json(&good), headers).await
    });
    let events = format!("{}/v1/finetune/x/events", server.url);
    run(&server, &headers(), async |headers| {
        sent(server.client.get(&events), headers).await
    });
    // whatever is presented, only the key opens
    server.key("ci", &[Scope::Edit]).await;
    run(&server, &headers(), async |headers| {
        let (status, text) = sent(server.post().json(&good), headers).await;
        assert_eq!(status, 401, "{text}");
        (status, text)
    });
}

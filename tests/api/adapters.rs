//! Adapters that requests name: several at once, none of them in another's way.
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use npedit::adapters::{self, Adapter, AdapterConfig, Pair, Scaling, Target};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{Scripted, Server, body, pointers, refused},
};

/// Width of the built-in bundle's transformer.
const DIM: usize = 96;

pub fn adapter(value: f32, width: usize, base: Option<&str>) -> Adapter {
    let full = |shape: (usize, usize)| Tensor::full(value, shape, &Device::Cpu).unwrap();
    let pair = Pair {
        a: full((2, width)).to_dtype(DType::F32).unwrap(),
        b: full((DIM, 2)),
        alpha: 1.0,
    };
    let config = AdapterConfig {
        scaling: Scaling::Standard,
        base: base.map(str::to_owned),
    };
    let pairs = [("layers.0.attention.to_q".to_owned(), pair)].into();
    Adapter::new(pairs, config).unwrap()
}

pub fn written(dir: &Path, name: &str, adapter: &Adapter) -> String {
    adapters::write(adapter, &dir.join(name), Target::Diffusers).unwrap();
    adapter.id().to_string()
}

async fn serving(dir: &Path, bytes: usize) -> Server {
    Server::embedded_with(|config| {
        config.adapters.directory = Some(dir.to_owned());
        config.adapters.max_resident_bytes = bytes;
        config.engine.queue_depth = 64;
    })
    .await
}

fn small(fields: Value) -> Value {
    let mut all = json!({"seed": 3, "steps": 1});
    all.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    body(all)
}

#[tokio::test]
async fn adapters_act_on_their_own_requests_alone() {
    let dir = tempfile::tempdir().unwrap();
    let winter = written(dir.path(), "winter", &adapter(0.5, DIM, None));
    written(dir.path(), "night", &adapter(-0.7, DIM, None));
    // Room for one of the two: they take turns.
    let server = serving(dir.path(), 4 * 2 * 2 * DIM).await;
    let choices = [
        json!({}),
        json!({"adapter": "winter"}),
        json!({"adapter": "night"}),
        json!({"adapter": winter, "adapter_scale": 0.5}),
    ];
    let mut alone = Vec::new();
    for choice in &choices {
        let answer = server.edited(&small(choice.clone())).await;
        alone.push(answer["images"][0]["b64_json"].clone());
    }
    for (i, one) in alone.iter().enumerate() {
        assert!(alone[..i].iter().all(|other| other != one), "{i}");
    }
    let requests: Vec<_> = (0..24)
        .map(|i| {
            let request = server.post().json(&small(choices[i % 4].clone()));
            tokio::spawn(async move { request.send().await.unwrap().json::<Value>().await })
        })
        .collect();
    for (i, request) in requests.into_iter().enumerate() {
        let answer = request.await.unwrap().unwrap();
        assert_eq!(answer["images"][0]["b64_json"], alone[i % 4], "{i}");
    }
}

#[tokio::test]
async fn a_receipt_names_the_adapter_and_brings_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let id = written(dir.path(), "winter", &adapter(0.5, DIM, None));
    let server = serving(dir.path(), 1 << 20).await;
    let first = server
        .edited(&small(json!({"adapter": "winter", "adapter_scale": 0.8})))
        .await;
    let receipt = &first["receipt"];
    assert_eq!(receipt["adapter"], id.as_str());
    assert_eq!(receipt["adapter_scale"], 0.8);
    let replay = json!({"image": pictures::base64(&pictures::png()), "receipt": receipt});
    assert_eq!(server.edited(&replay).await["images"], first["images"]);
    let mut other = replay.clone();
    other["adapter"] = "winter".into();
    let problem = refused(&server, &other, 409, "receipt_mismatch").await;
    assert_eq!(pointers(&problem), ["/receipt/adapter_scale"]);
    let without = Server::embedded().await;
    let problem = refused(&without, &replay, 409, "receipt_mismatch").await;
    assert_eq!(pointers(&problem), ["/receipt/adapter"]);
}

#[tokio::test]
async fn what_is_no_adapter_here_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), "wide", &adapter(0.5, DIM + 1, None));
    written(
        dir.path(),
        "elsewhere",
        &adapter(0.5, DIM, Some(&"0".repeat(64))),
    );
    written(dir.path(), "large", &adapter(0.25, DIM, None));
    std::fs::write(dir.path().join("torn.safetensors"), "no").unwrap();
    let server = serving(dir.path(), 16).await;
    for (name, status, code, advice) in [
        ("summer", 404, "adapter_not_found", "no adapter is called"),
        ("../wide", 404, "adapter_not_found", "no adapter is called"),
        ("wide", 422, "adapter_unusable", "[96, 97]"),
        ("elsewhere", 422, "adapter_unusable", "was trained on"),
        ("large", 422, "adapter_unusable", "max_resident_bytes"),
        ("torn", 422, "adapter_unusable", "the log"),
    ] {
        let problem = refused(&server, &small(json!({"adapter": name})), status, code).await;
        assert_eq!(pointers(&problem), ["/adapter"], "{name}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(advice), "{detail}");
        assert!(!detail.contains(dir.path().to_str().unwrap()), "{detail}");
    }
    server.edited(&small(json!({}))).await;
}

#[tokio::test]
async fn the_strength_belongs_to_an_adapter() {
    let server = Scripted::stub().await;
    for (fields, at) in [
        (json!({"adapter_scale": 1.0}), "/adapter_scale"),
        (
            json!({"adapter": "a", "adapter_scale": 0}),
            "/adapter_scale",
        ),
        (
            json!({"adapter": "a", "adapter_scale": 9}),
            "/adapter_scale",
        ),
        (
            json!({"adapter": "a", "adapter_scale": "x"}),
            "/adapter_scale",
        ),
        (json!({"adapter": 5}), "/adapter"),
        (json!({"adapter": " "}), "/adapter"),
        (json!({"adapter": "a".repeat(129)}), "/adapter"),
    ] {
        let problem = refused(&server, &body(fields), 400, "invalid_request").await;
        assert_eq!(pointers(&problem), [at]);
    }
    refused(
        &server,
        &body(json!({"adapter": "a"})),
        404,
        "adapter_not_found",
    )
    .await;
}

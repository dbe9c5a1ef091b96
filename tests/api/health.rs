//! Probes, the list of models, and what is answered before the model is there.
use std::sync::{Arc, mpsc};

use npedit::engine::Readiness;
use serde_json::{Value, json};

use crate::{
    stub::{Script, Stub},
    support::{Scripted, body, default_config, pair, problem},
};

#[tokio::test]
async fn a_ready_server_says_so() {
    let server = Scripted::stub().await;
    for (path, status) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.json::<Value>().await.unwrap(),
            json!({"status": status})
        );
    }
}

#[tokio::test]
async fn readiness_waits_for_the_load_and_the_warm_up_edit() {
    let (go, wait) = mpsc::channel::<()>();
    let script = Arc::new(Script::default());
    let stub = Stub(script.clone());
    let server = Scripted::start(default_config(), script, move || {
        wait.recv().map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(stub)
    });
    let server = server.await;
    assert_eq!(server.get("/health/live").await.status(), 200);
    let refused = problem(server.get("/health/ready").await, 503, "not_ready").await;
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("is being loaded"),
        "{refused}"
    );
    problem(server.get("/v1/models").await, 503, "not_ready").await;
    let edit = server.edit(&body(json!({}))).await;
    assert!(edit.headers().contains_key("retry-after"));
    problem(edit, 503, "not_ready").await;
    problem(server.score(&pair(json!({}))).await, 503, "not_ready").await;
    go.send(()).unwrap();
    assert!(matches!(server.engine.started().await, Readiness::Ready(_)));
    assert_eq!(
        server
            .script
            .finished
            .load(std::sync::atomic::Ordering::SeqCst),
        1
    );
    assert_eq!(server.get("/health/ready").await.status(), 200);
}

#[tokio::test]
async fn a_failed_load_stays_alive_and_tells_nothing_internal() {
    let script = Arc::new(Script::default());
    let server = Scripted::start(default_config(), script, || {
        Err::<Stub, _>(std::io::Error::other("/secret/weights.safetensors is torn"))
    });
    let server = server.await;
    assert!(matches!(
        server.engine.started().await,
        Readiness::Failed { .. }
    ));
    assert_eq!(server.get("/health/live").await.status(), 200);
    let refused = problem(server.get("/health/ready").await, 503, "not_ready").await;
    assert!(!refused.to_string().contains("secret"), "{refused}");
    problem(server.edit(&body(json!({}))).await, 503, "not_ready").await;
}

#[tokio::test]
async fn a_panic_while_loading_is_a_failed_load() {
    let script = Arc::new(Script::default());
    let server = Scripted::start(
        default_config(),
        script,
        || -> Result<Stub, std::io::Error> { panic!("torn") },
    );
    assert!(matches!(
        server.await.engine.started().await,
        Readiness::Failed { .. }
    ));
}

#[tokio::test]
async fn the_models_are_listed_as_openai_lists_them() {
    let server = Scripted::stub().await;
    let list: Value = server.get("/v1/models").await.json().await.unwrap();
    assert_eq!(list["object"], "list");
    let model = &list["data"][0];
    assert_eq!(
        (&model["id"], &model["object"], &model["owned_by"]),
        (&json!("stub"), &json!("model"), &json!("npedit"))
    );
    assert!(model["created"].is_u64());
    assert_eq!(model["sha256"], "ab".repeat(32));
    assert_eq!(model["limits"]["max_n"], 10);
    let judge = &list["data"][1];
    assert_eq!(
        (&judge["id"], &judge["role"], &judge["sha256"]),
        (
            &json!("stub judge"),
            &json!("judge"),
            &json!("cd".repeat(32))
        )
    );
}

#[tokio::test]
async fn the_openapi_is_served() {
    let server = Scripted::stub().await;
    let served: Value = server.get("/openapi.json").await.json().await.unwrap();
    assert_eq!(
        served,
        serde_json::to_value(npedit::http::document()).unwrap()
    );
}

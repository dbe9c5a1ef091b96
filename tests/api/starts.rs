//! What a job starts from: another adapter, and edits that are to stay as they are.
use serde_json::{Value, json};

use crate::{
    finetune::{ended, got, post},
    support::{Server, pointers, problem},
};

/// A job whose recipe replays a set.
pub async fn replays(server: &Server) {
    let mut request =
        json!({"dataset": "mine", "recipe": "demo-replay", "overrides": {"steps": 1}});
    let job: Value = post(server, "/v1/finetune", &request)
        .await
        .json()
        .await
        .unwrap();
    let job = ended(server, job["id"].as_str().unwrap()).await;
    let adapter = job["adapter"]["id"].as_str().unwrap();
    let kept = got(server, &format!("/v1/adapters/{adapter}")).await;
    assert_eq!(kept["lineage"]["replay"], "set-demo-replay", "{kept:#}");
    request["recipe"] = "nowhere".into();
    let unknown = post(server, "/v1/finetune", &request).await;
    problem(unknown, 404, "dataset_not_found").await;
}

/// A job that goes on from `adapter`, which the alias `mine` names, and learns nothing, makes the same one.
pub async fn goes_on_from(server: &Server, adapter: &str) {
    let overrides = json!({"steps": 1, "lr": 0.0});
    let mut request = json!({"dataset": "mine", "recipe": "mine", "base_adapter": "mine", "overrides": overrides});
    let job: Value = post(server, "/v1/finetune", &request)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(job["base_adapter"], adapter, "{job:#}");
    let job = ended(server, job["id"].as_str().unwrap()).await;
    assert_eq!(job["adapter"]["id"], adapter, "{job:#}");
    // compared with what it went on from, not with the bare editor
    assert_eq!(job["gate"]["gain"]["mean"], 0.0, "{job:#}");
    assert_eq!(job["gate"]["before"], job["gate"]["after"], "{job:#}");
    request["overrides"]["rank"] = 3.into();
    let refused = post(server, "/v1/finetune", &request).await;
    let refused = problem(refused, 400, "invalid_request").await;
    assert_eq!(pointers(&refused), ["/overrides/rank"]);
    request["base_adapter"] = "nobody".into();
    let unknown = post(server, "/v1/finetune", &request).await;
    problem(unknown, 404, "adapter_not_found").await;
}

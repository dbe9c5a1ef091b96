//! Edits with low scores, kept where the operator asks for that, and trained on.
use npedit::config::Config;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Scripted, body, problem};

async fn kept(server: &Scripted) -> Vec<Value> {
    let answer: Value = server.get("/v1/captured").await.json().await.unwrap();
    answer["data"].as_array().unwrap().clone()
}

async fn post(server: &Scripted, body: &Value) -> reqwest::Response {
    let request = server.client.post(format!("{}/v1/finetune", server.url));
    request.json(body).send().await.unwrap()
}

fn on(config: &mut Config) {
    config.capture.low_scores = true;
    config.capture.below = 0.25;
}

#[tokio::test]
async fn low_scores_are_kept_trained_on_and_deleted() {
    let server = Scripted::stub_with(on).await;
    // the stub's edit of seed 200 has 200 / 512, that of seed 40 has 40 / 512
    for fields in [
        json!({"seed": 200, "judge": true}),
        json!({"seed": 40}),
        json!({"seed": 40, "judge": true}),
    ] {
        server.edited(&body(fields)).await;
    }
    let waiting = async {
        while kept(&server).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    let all = kept(&server).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["instruction"], "make it blue");
    assert!(all[0]["score"].as_f64().unwrap() < 0.25, "{all:?}");

    let since = all[0]["created"].as_u64().unwrap();
    let job = post(
        &server,
        &json!({"source": {"captured_since": since}, "recipe": "np-edit-zimage"}),
    )
    .await;
    assert_eq!(job.status(), 201);
    let job: Value = job.json().await.unwrap();
    let path = format!("/v1/datasets/{}", job["dataset"].as_str().unwrap());
    let set: Value = server.get(&path).await.json().await.unwrap();
    assert_eq!(set["report"]["rows"], 1, "{set}");
    let later = json!({"source": {"captured_since": since + 1000}});
    problem(post(&server, &later).await, 422, "dataset_unusable").await;

    let delete = async |path: &str| {
        let request = server.client.delete(format!("{}{path}", server.url));
        request.send().await.unwrap()
    };
    let one = format!("/v1/captured/{}", all[0]["id"].as_str().unwrap());
    assert_eq!(delete(&one).await.status(), 200);
    problem(delete(&one).await, 404, "capture_not_found").await;
    let none: Value = delete("/v1/captured").await.json().await.unwrap();
    assert_eq!(none["deleted"], 0);
}

#[tokio::test]
async fn without_the_setting_nothing_is_kept_and_sources_are_checked() {
    let server = Scripted::stub().await;
    server
        .edited(&body(json!({"seed": 0, "judge": true})))
        .await;
    let answer: Value = server.get("/v1/captured").await.json().await.unwrap();
    assert_eq!(
        (&answer["capturing"], &answer["data"]),
        (&json!(false), &json!([]))
    );
    for (request, pointer) in [
        (json!({"source": {}}), "/source/captured_since"),
        (json!({"source": 5}), "/source"),
        (
            json!({"source": {"captured_since": -1}}),
            "/source/captured_since",
        ),
        (
            json!({"source": {"captured_since": 0, "x": 1}}),
            "/source/x",
        ),
        (
            json!({"dataset": "demo", "source": {"captured_since": 0}}),
            "/dataset",
        ),
    ] {
        let refused = problem(post(&server, &request).await, 400, "invalid_request").await;
        assert_eq!(crate::support::pointers(&refused), [pointer], "{request}");
    }
}

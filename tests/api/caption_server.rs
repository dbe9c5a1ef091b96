//! The caption model's server on bad days.
use std::time::Duration;

use npedit::config::Captions;
use serde_json::{Value, json};

use crate::{
    captions::{bare, made, server, settings, told},
    fake_chat::{Asked, FakeChat, Reply, sensible},
    finetune::got,
    support::PATIENCE,
};

#[tokio::test]
async fn a_server_that_is_down_costs_the_captions_and_not_the_set() {
    let nobody = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("http://{}/v1", nobody.local_addr().unwrap());
    drop(nobody);
    let settings = Captions {
        max_retries: 0,
        max_concurrent: 1,
        ..settings(&url)
    };
    let server = server(settings).await;
    let report = made(&server, &bare(&["a", "b", "c", "d", "e"])).await;
    assert_eq!(
        (&report["rows"], &report["filled"]["edit_type"]),
        (&json!(5), &json!(5))
    );
    let captions = &report["captions"];
    assert_eq!(captions["unanswered"], 5);
    assert!(
        captions["advice"]
            .as_str()
            .unwrap()
            .contains("send it again")
    );
    assert!(told(&captions["rows"][2]).contains("could not be reached"));
    // the rest is not tried
    assert!(told(&captions["rows"][3]).contains("not asked"));
    assert!(!captions.to_string().contains("127.0.0.1"));
}

#[tokio::test]
async fn nobody_waits_longer_than_the_settings_say() {
    let chat = FakeChat::start(|asked| match asked.text().contains("slow") {
        true => Reply::SaysLate(2 * PATIENCE, String::new()),
        false => sensible(asked),
    })
    .await;
    let one = Captions {
        timeout: Duration::from_secs(1),
        ..settings(&chat.base_url)
    };
    let server = server(one).await;
    let report = made(&server, &bare(&["slow", "quick"])).await;
    let rows = &report["captions"]["rows"];
    assert!(told(&rows[0]).contains("within 1 s"), "{rows}");
    assert_eq!(rows[1]["verdict"], "valid");

    let all = Captions {
        max_wait: Duration::from_secs(1),
        max_concurrent: 1,
        ..settings(&chat.base_url)
    };
    let server = crate::captions::server(all).await;
    let report = made(&server, &bare(&["quick", "slow", "quick too"])).await;
    let captions = &report["captions"];
    let counts = (&captions["valid"], &captions["unanswered"]);
    assert_eq!(counts, (&json!(1), &json!(2)));
    assert!(told(&captions["rows"][2]).contains("captions.max_wait_secs"));
}

#[tokio::test]
async fn refusals_that_may_pass_are_tried_again() {
    let chat = FakeChat::start(|asked: &Asked| match asked.number {
        0 => Reply::Refuses {
            status: 429,
            retry_after: Some("0"),
        },
        1 => Reply::Refuses {
            status: 503,
            retry_after: None,
        },
        _ => sensible(asked),
    })
    .await;
    let server = server(settings(&chat.base_url)).await;
    let report = made(&server, &bare(&["a"])).await;
    assert_eq!(report["captions"]["valid"], 1);
    assert_eq!(chat.asked().len(), 4);
}

#[tokio::test]
async fn servers_that_know_no_schema_are_asked_in_plain_words() {
    let chat = FakeChat::start(|asked| match asked.body.get("response_format") {
        Some(_) => Reply::Refuses {
            status: 400,
            retry_after: None,
        },
        None => sensible(asked),
    })
    .await;
    let server = server(settings(&chat.base_url)).await;
    let report = made(&server, &bare(&["a"])).await;
    assert_eq!(report["captions"]["valid"], 1);
    let asked = chat.asked();
    let forms: Vec<&Value> = asked
        .iter()
        .map(|asked| &asked.body["response_format"]["type"])
        .collect();
    // refused twice, and remembered for the second question
    assert_eq!(
        forms,
        [
            &json!("json_schema"),
            &json!("json_object"),
            &Value::Null,
            &Value::Null
        ]
    );
}

#[tokio::test]
async fn a_client_that_does_not_wait_finds_its_set() {
    let chat = FakeChat::start(|asked| match sensible(asked) {
        Reply::Says(text) => Reply::SaysLate(Duration::from_secs(1), text),
        other => other,
    })
    .await;
    let server = server(settings(&chat.base_url)).await;
    let request = server.client.post(format!("{}/v1/datasets", server.url));
    let request = request
        .json(&bare(&["a"]))
        .timeout(Duration::from_millis(500));
    assert!(request.send().await.unwrap_err().is_timeout());
    let waiting = async {
        while !server.get("/v1/datasets/mine").await.status().is_success() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    let kept = got(&server, "/v1/datasets/mine").await;
    assert_eq!(kept["report"]["captions"]["valid"], 1);
}

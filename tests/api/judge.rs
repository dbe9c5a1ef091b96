//! Scores of a real judge, of a random bundle.
use image::ImageFormat;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{Server, body, pair, pointers, refused, score_refused},
};

fn picture(width: u32, height: u32) -> Vec<u8> {
    pictures::encoded(pictures::gradient(width, height), ImageFormat::Png)
}

/// What the judge says, without what differs between two requests.
fn said(answer: &Value) -> Value {
    let names = [
        "edit_success",
        "preservation",
        "overall",
        "questions",
        "reference_size",
        "edited_size",
        "warnings",
    ];
    names
        .iter()
        .map(|name| ((*name).to_owned(), answer[*name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn codes(answer: &Value) -> Vec<&str> {
    let warnings = answer["warnings"].as_array().unwrap().iter();
    warnings
        .map(|warning| warning["code"].as_str().unwrap())
        .collect()
}

fn number(value: &Value) -> f64 {
    let number = value.as_f64().unwrap();
    assert!((0.0..=1.0).contains(&number), "{number}");
    number
}

#[tokio::test]
async fn a_score_says_everything_about_every_question() {
    let server = Server::judged().await;
    let questions = json!([
        {"text": "Is the sky blue?", "expected": "no"},
        {"text": "Is it night?", "expected": "yes", "shows": "edited"},
    ]);
    let answer = server
        .scored(&pair(json!({"edit_type": "color", "questions": questions})))
        .await;
    assert!(answer["id"].as_str().unwrap().starts_with("score_"));
    assert!(answer["created"].is_u64());
    assert_eq!(answer["model"], "mine/judge");
    assert_eq!(answer["judge"]["name"], "mine/judge");
    assert_eq!(answer["judge"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(answer["reference_size"], "48x32");
    assert_eq!(answer["edited_size"], "40x30");
    assert_eq!(codes(&answer), ["sizes_differ"]);
    for stage in ["read", "judge", "total"] {
        assert!(answer["timings_ms"][stage].as_f64().unwrap() > 0.0);
    }

    let asked = answer["questions"].as_array().unwrap();
    let of = |name: &str| -> Vec<_> { asked.iter().map(|asked| asked[name].clone()).collect() };
    assert_eq!(of("kind"), ["edit", "preservation", "custom", "custom"]);
    assert_eq!(of("expected"), ["yes", "yes", "no", "yes"]);
    assert_eq!(of("shows"), ["both", "both", "both", "edited"]);
    assert_eq!(of("text")[2..], ["Is the sky blue?", "Is it night?"]);
    assert_eq!(of("temperature"), [1.0; 4]);
    for asked in asked {
        let logits = ["yes_logit", "no_logit"].map(|name| asked[name].as_f64().unwrap());
        let p_yes = 1.0 / (1.0 + (logits[1] - logits[0]).exp());
        assert!((number(&asked["p_yes"]) - p_yes).abs() < 1e-12);
        let p_correct = match asked["expected"].as_str().unwrap() {
            "yes" => p_yes,
            _ => 1.0 - p_yes,
        };
        assert!((number(&asked["p_correct"]) - p_correct).abs() < 1e-12);
    }
    assert_eq!(answer["edit_success"], asked[0]["p_correct"]);
    assert_eq!(answer["preservation"], asked[1]["p_correct"]);
    let product = number(&answer["edit_success"]) * number(&answer["preservation"]);
    assert!((number(&answer["overall"]) - product).abs() < 1e-15);
}

#[tokio::test]
async fn the_same_bytes_give_the_same_numbers_alone_and_anywhere_in_a_batch() {
    let server = Server::judged().await;
    let items: Vec<_> = (0..4u32)
        .map(|i| {
            let edited = pictures::base64(&picture(40 + 8 * i, 64 - 8 * i));
            pair(json!({"edited": edited, "instruction": format!("do {i}")}))
        })
        .collect();
    let mut alone = Vec::new();
    for item in &items {
        alone.push(said(&server.scored(item).await));
    }
    assert_ne!(alone[0]["overall"], alone[1]["overall"]);
    assert_eq!(said(&server.scored(&items[2]).await), alone[2]);
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 2, 0, 2]] {
        let batch: Vec<_> = order.iter().map(|&i| items[i].clone()).collect();
        let answer = server.scored(&json!({"items": batch})).await;
        assert_eq!(answer["judge"]["name"], "mine/judge");
        let answered: Vec<_> = answer["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(said)
            .collect();
        let expected: Vec<_> = order.iter().map(|&i| alone[i].clone()).collect();
        assert_eq!(answered, expected);
    }
}

#[tokio::test]
async fn multipart_gives_the_numbers_of_json() {
    let server = Server::judged().await;
    let questions = json!([{"text": "Is it night?", "expected": "yes"}]);
    let form = Form::new()
        .part("reference", Part::bytes(pictures::png()))
        .part("edited", Part::bytes(picture(40, 30)))
        .text("instruction", "remove the hat")
        .text("edit_type", "remove")
        .text("object", "the hat")
        .text("questions", questions.to_string());
    let response = server.post_score().multipart(form).send().await.unwrap();
    let parts: Value = response.json().await.unwrap();
    let fields = json!({"instruction": "remove the hat", "edit_type": "remove", "object": "the hat", "questions": questions});
    let json = server.scored(&pair(fields)).await;
    assert_eq!(said(&parts), said(&json));
}

#[tokio::test]
async fn a_removal_asks_about_the_object_in_the_edited_image_alone() {
    let server = Server::judged().await;
    let known = json!({"edit_type": "remove", "object": "the hat"});
    let answer = server.scored(&pair(known)).await;
    let edit = &answer["questions"][0];
    assert_eq!(
        (&edit["shows"], &edit["expected"]),
        (&json!("edited"), &json!("no"))
    );
    assert!(edit["text"].as_str().unwrap().contains("the hat"));
    assert_eq!(codes(&answer), ["sizes_differ"]);

    let unknown = server.scored(&pair(json!({"edit_type": "remove"}))).await;
    assert_eq!(codes(&unknown), ["sizes_differ", "object_missing"]);
    let other = server.scored(&pair(json!({}))).await;
    assert_eq!(unknown["questions"], other["questions"]);
}

#[tokio::test]
async fn texts_and_images_that_the_judge_cannot_take_are_named() {
    let server = Server::judged().await;
    let bad =
        json!([{"text": "ok?", "expected": "yes"}, {"text": "<|im_end|>?", "expected": "yes"}]);
    let cases = [
        (
            json!({"questions": bad}),
            "question_unusable",
            "/questions/1/text",
        ),
        (
            json!({"instruction": "make it <|im_end|>"}),
            "question_unusable",
            "/instruction",
        ),
        (
            json!({"edit_type": "remove", "object": "<|im_end|>"}),
            "question_unusable",
            "/object",
        ),
        (
            json!({"reference": pictures::base64(&picture(1, 1))}),
            "image_unusable",
            "/reference",
        ),
        (
            json!({"edited": pictures::base64(&picture(200, 3))}),
            "image_unusable",
            "/edited",
        ),
        (
            json!({"edited": "aGVsbG8="}),
            "unsupported_image_format",
            "/edited",
        ),
        (
            json!({"reference": pictures::base64(&pictures::png()[..60])}),
            "image_undecodable",
            "/reference",
        ),
    ];
    for (fields, code, pointer) in cases {
        let problem = score_refused(&server, &pair(fields.clone()), 422, code).await;
        assert_eq!(pointers(&problem), [pointer]);
        let items = json!({"items": [pair(json!({})), pair(fields)]});
        let problem = score_refused(&server, &items, 422, code).await;
        assert_eq!(pointers(&problem), [format!("/items/1{pointer}")]);
    }
    let edit = body(json!({"judge": true, "instruction": "make it <|im_end|>", "steps": 1}));
    let problem = refused(&server, &edit, 422, "question_unusable").await;
    assert_eq!(pointers(&problem), ["/instruction"]);
}

#[tokio::test]
async fn the_best_of_four_is_returned_with_all_candidates() {
    let server = Server::judged().await;
    let fields = json!({"seed": 5, "steps": 1, "best_of": 4, "edit_type": "style"});
    let answer = server.edited(&body(fields)).await;
    let candidates = answer["candidates"].as_array().unwrap();
    let seeds: Vec<_> = candidates.iter().map(|one| one["seed"].clone()).collect();
    assert_eq!(seeds, [5, 6, 7, 8]);
    let overall: Vec<_> = candidates
        .iter()
        .map(|one| number(&one["scores"]["overall"]))
        .collect();
    let images = answer["images"].as_array().unwrap();
    assert_eq!(images.len(), 1);
    let at = images[0]["seed"].as_u64().unwrap() as usize - 5;
    assert!(overall.iter().all(|one| *one <= overall[at]), "{overall:?}");
    assert!(overall.iter().any(|one| *one < overall[at]), "{overall:?}");
    assert_eq!(images[0]["scores"], candidates[at]["scores"]);
    assert!(answer.get("accepted").is_none());
    assert!(answer["timings_ms"]["judge"].as_f64().unwrap() > 0.0);

    // The winner is an edit with its seed, and its receipt gives it again.
    let alone = json!({"seed": images[0]["seed"], "steps": 1, "judge": true, "edit_type": "style"});
    let alone = server.edited(&body(alone)).await;
    assert_eq!(alone["images"], answer["images"]);
    assert_eq!(alone["receipt"], answer["receipt"]);
    assert_eq!(answer["receipt"]["n"], 1);
    let again = json!({"image": pictures::base64(&pictures::png()), "receipt": answer["receipt"]});
    let again = server.edited(&again).await;
    assert_eq!(again["images"][0]["b64_json"], images[0]["b64_json"]);

    // What a client scores itself is what the edit said.
    let scores = server
        .scored(&pair(
            json!({"edited": images[0]["b64_json"], "edit_type": "style"}),
        ))
        .await;
    assert_eq!(scores["overall"], images[0]["scores"]["overall"]);
    assert_eq!(scores["questions"], images[0]["scores"]["questions"]);
}

#[tokio::test]
async fn the_judge_is_among_the_models() {
    let server = Server::judged().await;
    let list: Value = server.get("/v1/models").await.json().await.unwrap();
    let [editor, judge] = list["data"].as_array().unwrap().as_slice() else {
        panic!("{list}")
    };
    assert_eq!(
        (&editor["role"], &judge["role"]),
        (&json!("editor"), &json!("judge"))
    );
    assert_eq!(judge["id"], "mine/judge");
    let scored = server.scored(&pair(json!({}))).await;
    assert_eq!(judge["sha256"], scored["judge"]["sha256"]);
    assert_ne!(judge["sha256"], editor["sha256"]);
    assert_eq!(judge["limits"]["max_items"], 16);
}

#[tokio::test]
async fn without_a_judge_what_needs_one_is_a_501() {
    let server = Server::judged_with(|config| config.judge.enabled = false).await;
    let code = "judge_not_configured";
    let problem = score_refused(&server, &pair(json!({})), 501, code).await;
    assert!(problem["detail"].as_str().unwrap().contains("--judge"));
    // Before any work: not even the image is looked at.
    for fields in [
        json!({"judge": true, "image": "aGVsbG8="}),
        json!({"best_of": 2}),
        json!({"min_score": 0.5}),
    ] {
        refused(&server, &body(fields), 501, code).await;
    }
    server
        .edited(&body(json!({"judge": false, "steps": 1})))
        .await;
    let list: Value = server.get("/v1/models").await.json().await.unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

//! Edits that are judged, as fields, headers and receipts say it. The stub's edit success is how red its picture is: the seed.
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{Scripted, body, pointers, problem, refused},
};

async fn invalid(server: &Scripted, fields: Value, expected: &[&str]) {
    let refused = refused(server, &body(fields.clone()), 400, "invalid_request").await;
    assert_eq!(pointers(&refused), expected, "{fields}");
}

#[tokio::test]
async fn judged_images_carry_their_scores() {
    let server = Scripted::stub().await;
    let answer = server
        .edited(&body(json!({"judge": true, "n": 2, "seed": 51})))
        .await;
    assert_eq!(answer["judge"]["name"], "stub judge");
    let images = answer["images"].as_array().unwrap();
    for (image, seed) in images.iter().zip([51.0, 52.0]) {
        assert_eq!(image["scores"]["edit_success"], seed / 256.0);
        assert_eq!(image["scores"]["overall"], seed / 512.0);
    }
    assert!(answer.get("candidates").is_none() && answer.get("accepted").is_none());
    let plain = server.edited(&body(json!({"n": 2, "seed": 51}))).await;
    assert_eq!(plain["receipt"], answer["receipt"]);
    assert!(plain.get("judge").is_none() && plain["images"][0].get("scores").is_none());
}

#[tokio::test]
async fn the_least_score_decides_on_acceptance_and_the_best_is_attached_either_way() {
    let server = Scripted::stub().await;
    // The best of seeds 100 to 103 has 103 / 512.
    for (min_score, accepted) in [(0.0, true), (0.2, true), (0.21, false), (1.0, false)] {
        let fields = json!({"best_of": 4, "seed": 100, "min_score": min_score});
        let answer = server.edited(&body(fields)).await;
        assert_eq!(answer["accepted"], accepted);
        assert_eq!(answer["images"][0]["seed"], 103);
        assert_eq!(answer["candidates"].as_array().unwrap().len(), 4);
    }
    let alone = server
        .edited(&body(json!({"min_score": 0.5, "seed": 200})))
        .await;
    assert_eq!(alone["accepted"], false);
    assert!(alone["images"][0]["scores"]["overall"].is_number());
}

#[tokio::test]
async fn fields_that_contradict_each_other_are_refused() {
    let server = Scripted::stub().await;
    invalid(&server, json!({"best_of": 4, "n": 2}), &["/n"]).await;
    invalid(&server, json!({"best_of": 1}), &["/best_of"]).await;
    invalid(&server, json!({"best_of": 9}), &["/best_of"]).await;
    invalid(&server, json!({"best_of": "4"}), &["/best_of"]).await;
    invalid(&server, json!({"min_score": 1.5}), &["/min_score"]).await;
    invalid(&server, json!({"min_score": "high"}), &["/min_score"]).await;
    invalid(&server, json!({"judge": "yes"}), &["/judge"]).await;
    invalid(&server, json!({"judge": false, "best_of": 2}), &["/judge"]).await;
    invalid(
        &server,
        json!({"judge": false, "min_score": 0}),
        &["/judge"],
    )
    .await;
    let unjudged = json!({"edit_type": "add", "object": "a hat"});
    invalid(&server, unjudged, &["/edit_type", "/object"]).await;
    invalid(
        &server,
        json!({"judge": true, "edit_type": "hat"}),
        &["/edit_type"],
    )
    .await;
    invalid(
        &server,
        json!({"best_of": 2, "seed": (1u64 << 53) - 1}),
        &["/seed"],
    )
    .await;
    server
        .edited(&body(json!({"best_of": 2, "n": 1, "judge": true})))
        .await;
}

#[tokio::test]
async fn a_receipt_may_be_judged_but_has_one_seed() {
    let server = Scripted::stub().await;
    let image = pictures::base64(&pictures::png());
    let best = server
        .edited(&body(
            json!({"best_of": 3, "seed": 7, "output_format": "jpeg"}),
        ))
        .await;
    let receipt = &best["receipt"];
    assert_eq!((&receipt["seed"], &receipt["n"]), (&json!(9), &json!(1)));
    let again = json!({"image": image, "receipt": receipt, "judge": true, "edit_type": "style"});
    let again = server.edited(&again).await;
    assert_eq!(again["images"], best["images"]);
    for (fields, pointer) in [
        (json!({"best_of": 3}), "/best_of"),
        (json!({"judge": true, "seed": 8}), "/seed"),
    ] {
        let mut body = json!({"image": image, "receipt": receipt});
        let fields = fields.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let refused = refused(&server, &body, 400, "invalid_request").await;
        assert_eq!(pointers(&refused), [pointer]);
    }
}

#[tokio::test]
async fn a_raw_answer_has_the_scores_in_headers() {
    let server = Scripted::stub().await;
    let fields = json!({"best_of": 2, "seed": 50, "min_score": 0.9});
    let request = server.post().header("accept", "image/png");
    let response = request.json(&body(fields)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let json = |name: &str| serde_json::from_str::<Value>(&header(name)).unwrap();
    assert_eq!(header("x-edit-seed"), "51");
    assert_eq!(header("x-edit-accepted"), "false");
    let numbers = |seed: f64| json!({"edit_success": seed / 256.0, "preservation": 0.5, "overall": seed / 512.0});
    assert_eq!(json("x-edit-scores"), numbers(51.0));
    assert_eq!(
        json("x-edit-candidates"),
        json!([{"seed": 50, "scores": numbers(50.0)}, {"seed": 51, "scores": numbers(51.0)}])
    );
    let plain = server.post().header("accept", "image/png");
    let plain = plain.json(&body(json!({"seed": 51}))).send().await.unwrap();
    for name in ["x-edit-scores", "x-edit-candidates", "x-edit-accepted"] {
        assert!(!plain.headers().contains_key(name), "{name}");
    }
    assert_eq!(
        plain.bytes().await.unwrap(),
        response.bytes().await.unwrap()
    );
}

#[tokio::test]
async fn multipart_asks_for_the_same() {
    let server = Scripted::stub().await;
    let form = || {
        Form::new()
            .part("image", Part::bytes(pictures::png()))
            .text("instruction", "make it blue")
            .text("seed", "5")
    };
    let whole = form()
        .text("best_of", "2")
        .text("min_score", "0.5")
        .text("judge", "true")
        .text("edit_type", "remove")
        .text("object", "the hat");
    let parts = server.post().multipart(whole).send().await.unwrap();
    let parts: Value = parts.json().await.unwrap();
    let fields = json!({"seed": 5, "best_of": 2, "min_score": 0.5, "edit_type": "remove", "object": "the hat"});
    let json = server.edited(&body(fields)).await;
    for name in ["images", "candidates", "accepted", "judge", "receipt"] {
        assert_eq!(parts[name], json[name], "{name}");
    }
    let bad = form().text("judge", "perhaps").text("best_of", "two");
    let refused = server.post().multipart(bad).send().await.unwrap();
    let refused = problem(refused, 400, "invalid_request").await;
    assert_eq!(pointers(&refused), ["/judge", "/best_of"]);
}

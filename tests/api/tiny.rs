//! The embedded bundle, through the models.
use image::ImageFormat;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{Scripted, Server, problem},
};

fn photo() -> Vec<u8> {
    pictures::encoded(pictures::gradient(150, 100), ImageFormat::Jpeg)
}

fn body(fields: Value) -> Value {
    let mut body = json!({"image": pictures::base64(&photo()), "instruction": "make the sky pink", "steps": 2});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn every_way_in_and_out_gives_the_same_bytes() {
    let server = Server::embedded().await;
    let json = server.edited(&body(json!({"seed": 1}))).await;
    let image = &json["images"][0];
    assert_eq!(
        (&image["width"], &image["height"]),
        (&json!(150), &json!(100))
    );

    let again = server
        .edited(&json!({"image": pictures::base64(&photo()), "receipt": json["receipt"]}))
        .await;
    assert_eq!(again["images"], json["images"]);

    let form = Form::new()
        .part("image", Part::bytes(photo()))
        .text("instruction", "make the sky pink");
    let form = form.text("steps", "2").text("seed", "1");
    let raw = server
        .post()
        .header("accept", "image/png")
        .multipart(form)
        .send()
        .await
        .unwrap();
    assert_eq!(
        image["b64_json"],
        pictures::base64(&raw.bytes().await.unwrap())
    );
}

#[tokio::test]
async fn images_of_one_request_are_those_of_single_ones_and_differ() {
    let server = Server::embedded().await;
    let many = server.edited(&body(json!({"seed": 5, "n": 3}))).await;
    let images = many["images"].as_array().unwrap();
    assert_ne!(images[0]["b64_json"], images[1]["b64_json"]);
    for (i, image) in images.iter().enumerate() {
        let alone = server.edited(&body(json!({"seed": 5 + i}))).await;
        assert_eq!(&alone["images"][0], image);
    }
}

#[tokio::test]
async fn the_instruction_and_the_steps_reach_the_model() {
    let server = Server::embedded().await;
    let one = server.edited(&body(json!({"seed": 5}))).await;
    for fields in [
        json!({"instruction": "remove the sky"}),
        json!({"steps": 3}),
        json!({"seed": 6}),
    ] {
        let mut other = body(json!({"seed": 5}));
        other
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        assert_ne!(
            server.edited(&other).await["images"][0]["b64_json"],
            one["images"][0]["b64_json"],
            "{fields}"
        );
    }
}

#[tokio::test]
async fn what_is_honoured_only_in_part_is_a_warning() {
    let server = Server::embedded().await;
    let long = "a very long instruction ".repeat(300);
    let answer = server
        .edited(&body(json!({"instruction": long, "size": "64x64"})))
        .await;
    let codes: Vec<_> = answer["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| &warning["code"])
        .collect();
    assert_eq!(
        codes,
        ["instruction_truncated", "unknown_words", "aspect_changed"]
    );
}

#[tokio::test]
async fn every_stage_has_its_time() {
    let server = Server::embedded().await;
    let timings = server.edited(&body(json!({}))).await["timings_ms"].clone();
    for stage in [
        "read",
        "preprocess",
        "text",
        "encode",
        "denoise",
        "decode",
        "write",
        "total",
    ] {
        assert!(timings[stage].as_f64().unwrap() > 0.0, "{stage} {timings}");
    }
}

#[tokio::test]
async fn a_receipt_of_another_model_is_refused() {
    let (tiny, stub) = (Server::embedded().await, Scripted::stub().await);
    let receipt = stub.edited(&body(json!({}))).await["receipt"].clone();
    let body = json!({"image": pictures::base64(&photo()), "receipt": receipt});
    let problem = problem(tiny.edit(&body).await, 409, "receipt_mismatch").await;
    assert_eq!(problem["errors"][0]["pointer"], "/receipt/model");
}

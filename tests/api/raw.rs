//! Answers that are the image's own bytes.
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{Scripted, body, pointers, problem},
};

#[tokio::test]
async fn accept_chooses_the_image_itself() {
    let server = Scripted::stub().await;
    for (media_type, name) in [
        ("image/png", "png"),
        ("image/jpeg", "jpeg"),
        ("image/webp", "webp"),
    ] {
        let request = server
            .post()
            .header("accept", media_type)
            .json(&body(json!({"seed": 3})));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], media_type);
        assert_eq!(response.headers()["x-edit-seed"], "3");
        assert_eq!(response.headers()["x-edit-warnings"], "[]");
        assert!(response.headers().contains_key("x-edit-id"));
        let receipt = pictures::decode(response.headers()["x-edit-receipt"].to_str().unwrap());
        let receipt: Value = serde_json::from_slice(&receipt).unwrap();
        let bytes = response.bytes().await.unwrap();
        let json = server
            .edited(&body(json!({"seed": 3, "output_format": name})))
            .await;
        assert_eq!(json["images"][0]["b64_json"], pictures::base64(&bytes));
        assert_eq!(json["receipt"], receipt);
    }
}

#[tokio::test]
async fn a_quality_goes_with_the_format_of_accept() {
    let server = Scripted::stub().await;
    let body = body(json!({"seed": 3, "quality": 30}));
    let response = server
        .post()
        .header("accept", "image/jpeg")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let response = server
        .post()
        .header("accept", "image/png")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(
        pointers(&problem(response, 400, "invalid_request").await),
        ["/quality"]
    );
}

#[tokio::test]
async fn several_images_have_no_raw_form() {
    let server = Scripted::stub().await;
    let request = server
        .post()
        .header("accept", "image/png")
        .json(&body(json!({"n": 2})));
    let refused = problem(request.send().await.unwrap(), 400, "invalid_request").await;
    assert_eq!(pointers(&refused), ["/n"]);
}

#[tokio::test]
async fn accept_and_output_format_must_agree() {
    let server = Scripted::stub().await;
    let request = server
        .post()
        .header("accept", "image/png")
        .json(&body(json!({"output_format": "webp"})));
    problem(request.send().await.unwrap(), 406, "not_acceptable").await;
    let request = server
        .post()
        .header("accept", "text/html")
        .json(&body(json!({})));
    problem(request.send().await.unwrap(), 406, "not_acceptable").await;
}

#[tokio::test]
async fn a_receipt_chooses_the_format_of_a_raw_answer() {
    let server = Scripted::stub().await;
    let first = server
        .edited(&body(json!({"seed": 3, "output_format": "webp"})))
        .await;
    let body = json!({"image": pictures::base64(&pictures::png()), "receipt": first["receipt"]});
    let response = server
        .post()
        .header("accept", "image/*")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "image/webp");
    let bytes = response.bytes().await.unwrap();
    assert_eq!(first["images"][0]["b64_json"], pictures::base64(&bytes));
}

#[tokio::test]
async fn a_receipt_that_no_proxy_would_carry_is_left_out_and_said_so() {
    let server = Scripted::stub().await;
    let long = "blue ".repeat(1500);
    let request = server
        .post()
        .header("accept", "image/png")
        .json(&body(json!({"instruction": long})));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("x-edit-receipt"));
    assert!(response.headers().contains_key("x-edit-receipt-omitted"));
}

//! A receipt gives the same bytes again, or says why not.
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{Scripted, Server, body, pointers, refused},
};

fn with_receipt(receipt: &Value) -> Value {
    json!({"image": pictures::base64(&pictures::png()), "receipt": receipt})
}

async fn receipt(server: &Server) -> Value {
    let fields = json!({"seed": 11, "n": 2, "steps": 3, "output_format": "jpeg", "quality": 77, "size": "64x48"});
    server.edited(&body(fields)).await["receipt"].clone()
}

#[tokio::test]
async fn a_receipt_and_the_same_image_give_the_same_bytes() {
    let server = Scripted::stub().await;
    for fields in [
        json!({}),
        json!({"n": 3, "output_format": "webp"}),
        json!({"steps": 8, "size": "100x20", "output_format": "jpeg"}),
    ] {
        let first = server.edited(&body(fields)).await;
        let again = server.edited(&with_receipt(&first["receipt"])).await;
        assert_eq!(again["images"], first["images"]);
        assert_eq!(again["receipt"], first["receipt"]);
    }
}

#[tokio::test]
async fn fields_beside_a_receipt_must_agree_with_it() {
    let server = Scripted::stub().await;
    let receipt = receipt(&server).await;
    let mut body = with_receipt(&receipt);
    for (name, value) in [
        ("seed", json!(11)),
        ("n", json!(2)),
        ("size", json!("64x48")),
        ("quality", json!(77)),
    ] {
        body[name] = value;
    }
    server.edited(&body).await;
    let mut body = with_receipt(&receipt);
    let others = json!({"instruction": "other", "n": 1, "steps": 4, "seed": 1, "size": "auto", "output_format": "jpeg", "quality": 1});
    for (name, value) in others.as_object().unwrap() {
        body[name] = value.clone();
    }
    let problem = refused(&server, &body, 400, "invalid_request").await;
    assert_eq!(
        pointers(&problem),
        ["/instruction", "/n", "/steps", "/seed", "/size", "/quality"]
    );
}

#[tokio::test]
async fn another_image_is_named() {
    let server = Scripted::stub().await;
    let mut body = with_receipt(&receipt(&server).await);
    body["image"] = pictures::base64(&pictures::png_16_bit()).into();
    let problem = refused(&server, &body, 409, "receipt_mismatch").await;
    assert_eq!(pointers(&problem), ["/receipt/input_sha256"]);
}

#[tokio::test]
async fn every_other_difference_is_named() {
    let server = Scripted::stub().await;
    let mut other = receipt(&server).await;
    let facts = json!({
        "model": "0".repeat(64), "adapter": "1".repeat(64), "adapter_scale": 1.0, "sampler": "euler", "eta": null,
        "sigmas": [1.0, 0.5, 0.25, 0.0], "npedit": "99.0.0", "device": "cuda",
        "dtype": {"transformer": "bf16", "text_encoder": "bf16", "vae": "bf16"},
    });
    for (name, value) in facts.as_object().unwrap() {
        other[name] = value.clone();
    }
    let problem = refused(&server, &with_receipt(&other), 409, "receipt_mismatch").await;
    let expected = [
        "/receipt/model",
        "/receipt/adapter",
        "/receipt/sampler",
        "/receipt/eta",
        "/receipt/sigmas",
        "/receipt/npedit",
        "/receipt/device",
        "/receipt/dtype/transformer",
        "/receipt/dtype/text_encoder",
        "/receipt/dtype/vae",
    ];
    assert_eq!(pointers(&problem), expected);
    assert!(problem["detail"].as_str().unwrap().contains("99.0.0"));
}

#[tokio::test]
async fn a_receipt_is_untrusted_input() {
    let server = Scripted::stub().await;
    let good = receipt(&server).await;
    for (name, value, pointer) in [
        ("version", json!(2), "/receipt/version"),
        ("model", json!("xyz"), "/receipt/model"),
        ("model", json!("A".repeat(64)), "/receipt/model"),
        ("adapter", json!(5), "/receipt/adapter"),
        ("adapter", json!("1".repeat(64)), "/receipt/adapter_scale"),
        ("adapter_scale", json!(1.0), "/receipt/adapter_scale"),
        ("input_sha256", json!([]), "/receipt/input_sha256"),
        ("instruction", json!(" "), "/receipt/instruction"),
        (
            "instruction",
            json!("x".repeat(100_000)),
            "/receipt/instruction",
        ),
        ("seed", json!(-1), "/receipt/seed"),
        ("seed", json!(1e30), "/receipt/seed"),
        ("n", json!(0), "/receipt/n"),
        ("n", json!(1_000_000), "/receipt/n"),
        ("size", json!("auto"), "/receipt/size"),
        ("size", json!("99999x99999"), "/receipt/size"),
        ("steps", json!(9), "/receipt/steps"),
        ("steps", json!(2), "/receipt/sigmas"),
        ("sigmas", json!([1.0, 0.5, 0.5, 0.0]), "/receipt/sigmas/2"),
        ("sigmas", json!([1.0, "x", 0.5, 0.0]), "/receipt/sigmas/1"),
        ("sigmas", json!([2.0, 0.7, 0.5, 0.0]), "/receipt/sigmas/0"),
        ("sigmas", json!([1.0, 0.7, 0.5, 0.1]), "/receipt/sigmas/3"),
        (
            "sigmas",
            json!([1.0, 0.7, 0.5, 1e-300]),
            "/receipt/sigmas/3",
        ),
        ("sigmas", json!("1,0"), "/receipt/sigmas"),
        ("sampler", json!("heun"), "/receipt/sampler"),
        ("eta", json!(1.5), "/receipt/eta"),
        ("eta", json!(null), "/receipt/eta"),
        ("preprocess", json!("stretch"), "/receipt/preprocess"),
        ("output_format", json!("gif"), "/receipt/output_format"),
        ("quality", json!(0), "/receipt/quality"),
        ("quality", json!(null), "/receipt/quality"),
        ("npedit", json!(1), "/receipt/npedit"),
        ("device", json!("tpu"), "/receipt/device"),
        ("dtype", json!("f32"), "/receipt/dtype"),
        (
            "dtype",
            json!({"transformer": "f32", "text_encoder": "f32"}),
            "/receipt/dtype/vae",
        ),
        ("surprise", json!(1), "/receipt/surprise"),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let problem = refused(&server, &with_receipt(&bad), 400, "invalid_request").await;
        assert!(
            pointers(&problem).contains(&pointer),
            "{pointer}: {problem:#}"
        );
    }
    for bad in [json!("x"), json!(1), json!([]), json!(true)] {
        let problem = refused(&server, &with_receipt(&bad), 400, "invalid_request").await;
        assert_eq!(pointers(&problem), ["/receipt"]);
    }
    let problem = refused(&server, &with_receipt(&json!({})), 400, "invalid_request").await;
    assert!(pointers(&problem).len() >= 14, "{problem:#}");
}

#[tokio::test]
async fn a_field_of_a_receipt_cannot_be_given_twice() {
    let server = Scripted::stub().await;
    let text = with_receipt(&receipt(&server).await).to_string().replacen(
        r#""seed":11"#,
        r#""seed":11,"seed":12"#,
        1,
    );
    let request = server
        .post()
        .header("content-type", "application/json")
        .body(text);
    let problem =
        crate::support::problem(request.send().await.unwrap(), 400, "invalid_request").await;
    assert_eq!(pointers(&problem), ["/receipt/seed"]);
}

//! Edits as JSON.
use image::GenericImageView;
use serde_json::json;

use crate::{
    pictures,
    support::{Scripted, body},
};

#[tokio::test]
async fn an_edit_answers_everything_a_client_needs() {
    let server = Scripted::stub().await;
    let answer = server.edited(&body(json!({"seed": 7, "steps": 2}))).await;
    assert!(answer["id"].as_str().unwrap().starts_with("edit_"));
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(answer["model"], "stub");
    assert_eq!(answer["warnings"], json!([]));
    assert!(answer["timings_ms"]["total"].as_f64().unwrap() > 0.0);
    let image = &answer["images"][0];
    assert_eq!(
        (&image["seed"], &image["width"], &image["height"]),
        (&json!(7), &json!(48), &json!(32))
    );
    let bytes = pictures::decode(image["b64_json"].as_str().unwrap());
    assert_eq!(
        image::load_from_memory(&bytes).unwrap().dimensions(),
        (48, 32)
    );
    let receipt = &answer["receipt"];
    assert_eq!(receipt["seed"], 7);
    assert_eq!(receipt["size"], "48x32");
    assert_eq!(receipt["sigmas"].as_array().unwrap().len(), 3);
    assert_eq!(receipt["quality"], json!(null));
}

#[tokio::test]
async fn image_i_has_seed_plus_i_and_can_be_had_alone() {
    let server = Scripted::stub().await;
    let many = server.edited(&body(json!({"seed": 40, "n": 3}))).await;
    assert_eq!(many["images"].as_array().unwrap().len(), 3);
    for (i, image) in many["images"].as_array().unwrap().iter().enumerate() {
        assert_eq!(image["seed"], 40 + i);
        let alone = server.edited(&body(json!({"seed": 40 + i}))).await;
        assert_eq!(alone["images"], json!([image]));
    }
}

#[tokio::test]
async fn a_seed_is_drawn_reported_and_gives_the_same_image_again() {
    let server = Scripted::stub().await;
    let (first, second) = (
        server.edited(&body(json!({}))).await,
        server.edited(&body(json!({}))).await,
    );
    assert_ne!(first["images"][0]["seed"], second["images"][0]["seed"]);
    let again = server
        .edited(&body(json!({"seed": first["images"][0]["seed"]})))
        .await;
    assert_eq!(again["images"], first["images"]);
}

#[tokio::test]
async fn the_largest_seed_survives_and_the_next_is_refused() {
    let server = Scripted::stub().await;
    let largest = (1u64 << 53) - 1;
    let answer = server.edited(&body(json!({"seed": largest}))).await;
    assert_eq!(answer["images"][0]["seed"], largest);
    let problem = crate::support::refused(
        &server,
        &body(json!({"seed": largest, "n": 2})),
        400,
        "invalid_request",
    )
    .await;
    assert_eq!(crate::support::pointers(&problem), ["/seed"]);
}

#[tokio::test]
async fn formats_and_quality_are_honoured() {
    let server = Scripted::stub().await;
    for (fields, format, quality) in [
        (json!({}), image::ImageFormat::Png, json!(null)),
        (
            json!({"output_format": "png"}),
            image::ImageFormat::Png,
            json!(null),
        ),
        (
            json!({"output_format": "jpeg"}),
            image::ImageFormat::Jpeg,
            json!(90),
        ),
        (
            json!({"output_format": "jpeg", "quality": 40}),
            image::ImageFormat::Jpeg,
            json!(40),
        ),
        (
            json!({"output_format": "webp"}),
            image::ImageFormat::WebP,
            json!(null),
        ),
    ] {
        let answer = server.edited(&body(fields)).await;
        let bytes = pictures::decode(answer["images"][0]["b64_json"].as_str().unwrap());
        assert_eq!(image::guess_format(&bytes).unwrap(), format);
        assert_eq!(answer["receipt"]["quality"], quality);
    }
}

#[tokio::test]
async fn the_default_format_is_the_configured_one() {
    let server = Scripted::stub_with(|config| {
        config.edit.output_format = npedit::config::FormatChoice::Jpeg;
        config.edit.output_quality = 55;
    });
    let answer = server.await.edited(&body(json!({}))).await;
    assert_eq!(answer["receipt"]["output_format"], "jpeg");
    assert_eq!(answer["receipt"]["quality"], 55);
}

#[tokio::test]
async fn the_size_is_the_inputs_or_the_asked_one() {
    let server = Scripted::stub().await;
    for (size, expected) in [("auto", (48, 32)), ("96x64", (96, 64)), ("17x40", (17, 40))] {
        let answer = server.edited(&body(json!({"size": size}))).await;
        let image = &answer["images"][0];
        assert_eq!(
            (&image["width"], &image["height"]),
            (&json!(expected.0), &json!(expected.1))
        );
    }
}

#[tokio::test]
async fn a_data_uri_is_read_and_its_media_type_is_not_trusted() {
    let server = Scripted::stub().await;
    for prefix in [
        "data:image/png;base64,",
        "data:image/jpeg;base64,",
        "data:;base64,",
    ] {
        let image = format!("{prefix}{}", pictures::base64(&pictures::png()));
        server.edited(&body(json!({"image": image}))).await;
    }
}

#[tokio::test]
async fn null_is_as_if_the_field_were_missing() {
    let server = Scripted::stub().await;
    let mut body = body(json!({}));
    for name in [
        "n",
        "steps",
        "seed",
        "size",
        "output_format",
        "quality",
        "receipt",
    ] {
        body[name] = json!(null);
    }
    server.edited(&body).await;
}

//! Edits as OpenAI's clients send them, and edits as events.
use std::sync::atomic::Ordering::SeqCst;

use image::{ImageFormat, Rgba, RgbaImage};
use reqwest::{
    RequestBuilder, Response,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::{
    pictures,
    stub::{HOLD, PANIC},
    support::{Scripted, Server, body, pointers, problem, until},
};

fn post(server: &Server) -> RequestBuilder {
    server
        .client
        .post(format!("{}/v1/images/edits", server.url))
}

fn url(bytes: &[u8]) -> Value {
    json!({"image_url": format!("data:image/png;base64,{}", pictures::base64(bytes))})
}

fn request(fields: Value) -> Value {
    let mut all = json!({"images": [url(&pictures::png())], "prompt": "make it blue", "steps": 2});
    all.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    all
}

async fn send(server: &Server, fields: Value) -> Response {
    post(server).json(&request(fields)).send().await.unwrap()
}

async fn edited(server: &Server, fields: Value) -> Value {
    let response = send(server, fields).await;
    let status = response.status();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Name and data of every event.
async fn events(response: Response) -> Vec<(String, Value)> {
    assert_eq!(response.status(), 200);
    let media_type = response.headers()["content-type"].to_str().unwrap();
    assert!(media_type.starts_with("text/event-stream"), "{media_type}");
    let text = response.text().await.unwrap();
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    blocks
        .map(|block| {
            let data = serde_json::from_str(&field(block, "data:")).unwrap();
            (field(block, "event:"), data)
        })
        .collect()
}

#[tokio::test]
async fn parts_and_json_give_what_the_native_route_gives() {
    let server = Server::embedded().await;
    let native = server
        .edited(&body(json!({"seed": 4, "steps": 2, "n": 2})))
        .await;
    let answer = edited(&server, json!({"seed": 4, "n": 2})).await;
    for (data, image) in answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .zip(native["images"].as_array().unwrap())
    {
        assert_eq!(data["b64_json"], image["b64_json"]);
        assert_eq!(data["seed"], image["seed"]);
    }
    assert_eq!(
        (
            &answer["size"],
            &answer["output_format"],
            &answer["background"],
            &answer["quality"]
        ),
        (
            &json!("48x32"),
            &json!("png"),
            &json!("opaque"),
            &json!("auto")
        )
    );
    let usage = &answer["usage"];
    let tokens = |name: &str| usage[name].as_u64().unwrap();
    let details = &usage["input_tokens_details"];
    assert!(details["text_tokens"].as_u64().unwrap() > 0);
    assert_eq!(
        tokens("output_tokens"),
        2 * details["image_tokens"].as_u64().unwrap()
    );
    assert_eq!(
        tokens("total_tokens"),
        tokens("input_tokens") + tokens("output_tokens")
    );
    for name in ["image", "image[]"] {
        let form = Form::new()
            .part(name, Part::bytes(pictures::png()).file_name("upload"))
            .text("prompt", "make it blue")
            .text("model", native["model"].as_str().unwrap().to_owned());
        let form = form.text("n", "2").text("seed", "4").text("steps", "2");
        let parts: Value = post(&server)
            .multipart(form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(parts["data"], answer["data"]);
    }
}

#[tokio::test]
async fn what_a_mask_keeps_stays() {
    let server = Server::embedded().await;
    let half = RgbaImage::from_fn(48, 32, |x, _| Rgba([0, 0, 0, if x < 24 { 0 } else { 255 }]));
    let mask = pictures::encoded(half, ImageFormat::Png);
    let whole = edited(&server, json!({"seed": 4})).await;
    let masked = edited(&server, json!({"seed": 4, "mask": url(&mask)})).await;
    assert_eq!(masked["mask"]["max_difference_outside"], 0);
    assert!(masked.get("receipt").is_none() && whole.get("receipt").is_some());
    let picture = |answer: &Value| {
        let bytes = pictures::decode(answer["data"][0]["b64_json"].as_str().unwrap());
        image::load_from_memory(&bytes).unwrap().into_rgb8()
    };
    let (whole, masked, original) = (
        picture(&whole),
        picture(&masked),
        pictures::gradient(48, 32),
    );
    for (x, y, pixel) in masked.enumerate_pixels() {
        let from = if x < 24 { &whole } else { &original };
        assert_eq!(pixel, from.get_pixel(x, y), "{x} {y}");
    }
    let jpeg =
        json!({"seed": 4, "mask": url(&mask), "output_format": "jpeg", "output_compression": 30});
    let jpeg = edited(&server, jpeg).await;
    assert!(jpeg["mask"]["max_difference_outside"].as_u64().unwrap() > 0);
    let other = pictures::encoded(RgbaImage::new(40, 32), ImageFormat::Png);
    let refused = problem(
        send(&server, json!({"mask": url(&other)})).await,
        400,
        "mask_size_mismatch",
    )
    .await;
    assert_eq!(pointers(&refused), ["/mask"]);
    let opaque = json!({"mask": url(&pictures::png())});
    problem(send(&server, opaque).await, 422, "unsupported_image_format").await;
}

#[tokio::test]
async fn nothing_is_ignored_silently() {
    let server = Scripted::stub_with(|config| config.judge.enabled = false).await;
    for (fields, code, at) in [
        (json!({"prompt": null}), "invalid_request", "/prompt"),
        (json!({"images": []}), "invalid_request", "/images"),
        (
            json!({"images": [{"file_id": "file-1"}]}),
            "invalid_request",
            "/images/0/file_id",
        ),
        (
            json!({"images": [{"image_url": "https://x/y.png"}]}),
            "image_url_refused",
            "/image",
        ),
        (
            json!({"images": [url(b"x"), url(b"y")]}),
            "too_many_images",
            "/image",
        ),
        (json!({"n": 11}), "invalid_request", "/n"),
        (json!({"n": 2, "stream": true}), "invalid_request", "/n"),
        (
            json!({"partial_images": 2}),
            "invalid_request",
            "/partial_images",
        ),
        (json!({"quality": "best"}), "invalid_request", "/quality"),
        (json!({"surprise": 1}), "invalid_request", "/surprise"),
        (
            json!({"output_format": "gif"}),
            "unsupported_value",
            "/output_format",
        ),
        (
            json!({"background": "transparent"}),
            "unsupported_value",
            "/background",
        ),
        (
            json!({"response_format": "url"}),
            "unsupported_value",
            "/response_format",
        ),
        (
            json!({"frame_count": 2}),
            "unsupported_parameter",
            "/frame_count",
        ),
        (
            json!({"user": "u", "strict": true}),
            "unsupported_value",
            "/user",
        ),
    ] {
        let refused = problem(send(&server, fields).await, 400, code).await;
        assert_eq!(pointers(&refused), [at]);
    }
    for model in ["gpt-image-1", "stub::", "other::winter"] {
        let response = send(&server, json!({"model": model})).await;
        problem(response, 404, "model_not_found").await;
    }
    problem(
        send(&server, json!({"model": "stub::winter"})).await,
        404,
        "adapter_not_found",
    )
    .await;
    let idle = json!({"model": "stub", "user": "u", "moderation": "low", "quality": "high", "output_compression": 50});
    let answer = edited(&server, idle).await;
    let named: Vec<_> = answer["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| {
            assert_eq!(warning["code"], "parameter_without_effect");
            warning["message"]
                .as_str()
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
        })
        .collect();
    assert_eq!(
        named,
        ["output_compression", "moderation", "user", "quality"]
    );
}

#[tokio::test]
async fn a_high_quality_is_the_best_of_several() {
    let server = Scripted::stub().await;
    let answer = edited(&server, json!({"seed": 0, "quality": "high"})).await;
    assert_eq!(answer["candidates"].as_array().unwrap().len(), 4);
    assert_eq!(answer["data"].as_array().unwrap().len(), 1);
    assert_eq!(server.script.scored.load(SeqCst), 5);
    let low = edited(&server, json!({"seed": 0, "quality": "low", "steps": null})).await;
    assert_eq!(low["receipt"]["steps"], 1);
}

#[tokio::test]
async fn a_streamed_edit_shows_real_previews_and_ends_with_the_image() {
    let server = Server::embedded().await;
    let whole = edited(&server, json!({"seed": 4, "steps": 4})).await;
    let fields = json!({"seed": 4, "steps": 4, "stream": true, "partial_images": 2});
    let events = events(send(&server, fields).await).await;
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    let partial = "image_edit.partial_image";
    assert_eq!(names, [partial, partial, "image_edit.completed"]);
    for (index, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["type"], name.as_str());
        for key in [
            "b64_json",
            "created_at",
            "size",
            "quality",
            "background",
            "output_format",
        ] {
            assert!(!data[key].is_null(), "{name}: {key}");
        }
        let bytes = pictures::decode(data["b64_json"].as_str().unwrap());
        image::load_from_memory(&bytes).unwrap();
        if name == partial {
            assert_eq!(data["partial_image_index"], index);
        }
    }
    assert_ne!(events[0].1["b64_json"], events[1].1["b64_json"]);
    assert_eq!(events[2].1["b64_json"], whole["data"][0]["b64_json"]);
    assert_eq!(events[2].1["usage"], whole["usage"]);
}

#[tokio::test]
async fn the_native_route_streams_its_progress() {
    let server = Server::embedded().await;
    let edit = body(json!({"seed": 4, "steps": 3}));
    let whole = server.edited(&edit).await;
    let request = server.post().header("accept", "text/event-stream");
    let events = events(request.json(&edit).send().await.unwrap()).await;
    let count = |name: &str| events.iter().filter(|(found, _)| found == name).count();
    assert_eq!((count("stage"), count("step"), count("preview")), (6, 3, 2));
    let (last, result) = events.last().unwrap();
    assert_eq!(last, "result");
    assert_eq!(result["images"], whole["images"]);
    assert_eq!(result["receipt"], whole["receipt"]);
}

#[tokio::test]
async fn a_stream_that_fails_says_why_at_its_end() {
    let server = Scripted::stub().await;
    let fields = json!({"prompt": PANIC, "stream": true});
    let all = events(send(&server, fields).await).await;
    let (name, data) = all.last().unwrap();
    assert_eq!(
        (name.as_str(), &data["error"]["code"]),
        ("error", &json!("internal"))
    );
    assert!(!data.to_string().contains("secret"), "{data}");
}

#[tokio::test]
async fn a_stream_that_nobody_reads_ends_its_edit() {
    let server = Scripted::stub().await;
    let response = send(&server, json!({"prompt": HOLD, "stream": true})).await;
    until("the edit starts", || {
        server.script.started.load(SeqCst) == 2
    })
    .await;
    drop(response);
    until("the edit is cancelled", || {
        server.script.cancelled.load(SeqCst) == 1
    })
    .await;
}

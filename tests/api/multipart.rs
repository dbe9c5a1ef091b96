//! Edits as multipart/form-data, as browsers, curl and OpenAI's clients write it.
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{Scripted, Server, body, pointers, problem},
};

fn file(bytes: Vec<u8>) -> Part {
    // openai-python sends raw bytes with this name and type.
    Part::bytes(bytes)
        .file_name("upload")
        .mime_str("application/octet-stream")
        .unwrap()
}

fn form() -> Form {
    Form::new()
        .part("image", file(pictures::png()))
        .text("instruction", "make it blue")
}

async fn send(server: &Server, form: Form) -> reqwest::Response {
    server.post().multipart(form).send().await.unwrap()
}

#[tokio::test]
async fn the_same_fields_give_the_same_images_as_json() {
    let server = Scripted::stub().await;
    let form = form()
        .text("n", "2")
        .text("seed", "5")
        .text("steps", "3")
        .text("size", "64x64");
    let form = form.text("output_format", "jpeg").text("quality", "80");
    let parts: Value = send(&server, form).await.json().await.unwrap();
    let fields = json!({"n": 2, "seed": 5, "steps": 3, "size": "64x64", "output_format": "jpeg", "quality": 80});
    let answer = server.edited(&body(fields)).await;
    assert_eq!(parts["images"], answer["images"]);
    assert_eq!(parts["receipt"], answer["receipt"]);
}

#[tokio::test]
async fn a_file_of_several_megabytes_is_read() {
    let server = Scripted::stub().await;
    let mut state = 1_u32;
    let noise = image::RgbImage::from_fn(1200, 1000, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, red, green, blue] = state.to_be_bytes();
        image::Rgb([blue, green, red])
    });
    let bytes = pictures::encoded(noise, image::ImageFormat::Png);
    assert!(bytes.len() > 3_000_000, "{}", bytes.len());
    let form = Form::new()
        .part("image", file(bytes))
        .text("instruction", "make it red");
    assert_eq!(send(&server, form).await.status(), 200);
}

#[tokio::test]
async fn openais_list_name_is_read_too() {
    let server = Scripted::stub().await;
    let form = Form::new()
        .part("image[]", file(pictures::png()))
        .text("instruction", "x");
    assert_eq!(send(&server, form).await.status(), 200);
}

#[tokio::test]
async fn a_receipt_part_is_its_json_text() {
    let server = Scripted::stub().await;
    let answer = server.edited(&body(json!({"seed": 9}))).await;
    let form = Form::new()
        .part("image", file(pictures::png()))
        .text("receipt", answer["receipt"].to_string());
    let again: Value = send(&server, form).await.json().await.unwrap();
    assert_eq!(again["images"], answer["images"]);
    let form = self::form().text("receipt", "{");
    let refused = problem(send(&server, form).await, 400, "invalid_request").await;
    assert_eq!(pointers(&refused), ["/receipt"]);
}

#[tokio::test]
async fn wrong_parts_are_all_named() {
    let server = Scripted::stub().await;
    let form = form()
        .text("n", "two")
        .text("steps", "")
        .text("strength", "1")
        .text("seed", "1")
        .text("seed", "2");
    let refused = problem(send(&server, form).await, 400, "invalid_request").await;
    assert_eq!(pointers(&refused), ["/n", "/steps", "/seed", "/strength"]);
}

#[tokio::test]
async fn exactly_one_image_is_taken() {
    let server = Scripted::stub().await;
    let two = form().part("image[]", file(pictures::png()));
    let none = Form::new().text("instruction", "x");
    for form in [two, none] {
        let refused = problem(send(&server, form).await, 400, "invalid_request").await;
        assert_eq!(pointers(&refused), ["/image"]);
    }
}

#[tokio::test]
async fn an_instruction_that_is_no_text_is_refused() {
    let server = Scripted::stub().await;
    let form = Form::new()
        .part("image", file(pictures::png()))
        .part("instruction", Part::bytes(vec![0xff, 0xfe]));
    let refused = problem(send(&server, form).await, 400, "invalid_request").await;
    assert_eq!(pointers(&refused), ["/instruction"]);
}

#[tokio::test]
async fn what_is_not_multipart_is_said_so() {
    let server = Scripted::stub().await;
    for (content_type, body) in [
        ("multipart/form-data", "no boundary"),
        ("multipart/form-data; boundary=x", "garbage"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nno end",
        ),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n",
        ),
    ] {
        let response = server
            .post()
            .header("content-type", content_type)
            .body(body)
            .send()
            .await
            .unwrap();
        problem(response, 400, "malformed_multipart").await;
    }
    let many = (0..100).fold(Form::new(), |form, i| form.text(format!("f{i}"), "x"));
    problem(send(&server, many).await, 400, "malformed_multipart").await;
}

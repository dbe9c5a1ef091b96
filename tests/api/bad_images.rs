//! Files that are no image, or none that can be edited, and odd ones that can.
use image::{GrayAlphaImage, GrayImage, ImageFormat, RgbaImage};
use serde_json::json;

use crate::{
    pictures::{self, encoded, gradient},
    support::{Scripted, body, pointers, refused},
};

fn sent(bytes: &[u8]) -> serde_json::Value {
    body(json!({"image": pictures::base64(bytes)}))
}

#[tokio::test]
async fn each_bad_file_is_refused_with_its_code() {
    let server = Scripted::stub().await;
    let (png, jpeg) = (
        pictures::png(),
        encoded(gradient(48, 32), ImageFormat::Jpeg),
    );
    let mut damaged = png.clone();
    damaged[40..60].fill(0xff);
    for (name, bytes, status, code) in [
        (
            "text",
            b"hello, this is no image".to_vec(),
            422,
            "unsupported_image_format",
        ),
        (
            "a gif",
            b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(),
            422,
            "unsupported_image_format",
        ),
        (
            "svg",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            422,
            "unsupported_image_format",
        ),
        (
            "half a png",
            png[..png.len() / 2].to_vec(),
            422,
            "image_undecodable",
        ),
        (
            "half a jpeg",
            jpeg[..jpeg.len() / 2].to_vec(),
            422,
            "image_undecodable",
        ),
        ("a damaged png", damaged, 422, "image_undecodable"),
        (
            "an animation",
            pictures::animated_png(),
            422,
            "unsupported_image_format",
        ),
        (
            "1x1",
            encoded(gradient(1, 1), ImageFormat::Png),
            422,
            "image_unusable",
        ),
        (
            "a strip",
            encoded(gradient(16, 1000), ImageFormat::Png),
            422,
            "image_unusable",
        ),
        (
            "40000x40000",
            pictures::png_claiming(40_000, 40_000),
            413,
            "image_too_large",
        ),
        (
            "10000x20",
            pictures::png_claiming(10_000, 20),
            413,
            "image_too_large",
        ),
    ] {
        let problem = refused(&server, &sent(&bytes), status, code).await;
        assert_eq!(pointers(&problem), ["/image"], "{name}");
    }
}

#[tokio::test]
async fn a_file_over_the_byte_limit_is_refused() {
    let server = Scripted::stub_with(|config| config.images.max_bytes = 100).await;
    refused(&server, &sent(&pictures::png()), 413, "image_too_large").await;
}

#[tokio::test]
async fn unusual_files_that_can_be_converted_are_edited() {
    let server = Scripted::stub().await;
    for bytes in [
        pictures::png_16_bit(),
        encoded(RgbaImage::new(32, 32), ImageFormat::Png),
        encoded(GrayImage::new(32, 32), ImageFormat::Png),
        encoded(GrayAlphaImage::new(32, 32), ImageFormat::Png),
        encoded(GrayImage::new(32, 32), ImageFormat::Jpeg),
        encoded(gradient(40, 30), ImageFormat::WebP),
    ] {
        server.edited(&sent(&bytes)).await;
    }
}

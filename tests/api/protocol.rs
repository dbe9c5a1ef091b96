//! What holds for every route: methods, types, sizes, times, ids.
use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    pictures,
    support::{Scripted, Server, body, problem},
};

#[tokio::test]
async fn unknown_routes_and_methods_have_the_same_body() {
    let server = Scripted::stub().await;
    for path in [
        "/playground/index.html",
        "/v1",
        "/v1/edits",
        "/v1/edit/",
        "/health",
        "/%2e%2e/etc/passwd",
    ] {
        problem(server.get(path).await, 404, "route_not_found").await;
    }
    let response = server.get("/v1/edit").await;
    assert_eq!(response.headers()["allow"], "POST");
    problem(response, 405, "method_not_allowed").await;
    let response = server
        .client
        .delete(format!("{}/health/live", server.url))
        .send()
        .await
        .unwrap();
    problem(response, 405, "method_not_allowed").await;
}

#[tokio::test]
async fn other_content_types_are_refused() {
    let server = Scripted::stub().await;
    let bytes = body(json!({})).to_string();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "image/png",
        "application/jsonx",
    ] {
        let request = server
            .post()
            .header("content-type", content_type)
            .body(bytes.clone());
        problem(request.send().await.unwrap(), 415, "unsupported_media_type").await;
    }
    problem(
        server.post().body(bytes.clone()).send().await.unwrap(),
        415,
        "unsupported_media_type",
    )
    .await;
    let zipped = server
        .post()
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    problem(
        zipped.body(bytes.clone()).send().await.unwrap(),
        415,
        "unsupported_media_type",
    )
    .await;
    let charset = server
        .post()
        .header("content-type", "Application/JSON; charset=utf-8")
        .body(bytes);
    assert_eq!(charset.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let server = Scripted::stub_with(|config| config.server.max_body_bytes = 10_000).await;
    let large = body(json!({"instruction": "x".repeat(20_000)})).to_string();
    let announced = server
        .post()
        .header("content-type", "application/json")
        .body(large.clone());
    problem(announced.send().await.unwrap(), 413, "request_too_large").await;
    // Without a length, as a chunked body.
    let head = "POST /v1/edit HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunked = format!("{head}{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let answer = exchange(&server, chunked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("request_too_large"), "{answer}");
    server.edited(&body(json!({"instruction": "short"}))).await;
}

#[tokio::test]
async fn a_large_body_that_nobody_reads_still_gets_its_answer() {
    let server = Scripted::stub_with(|config| config.server.max_body_bytes = 10_000).await;
    let large = vec![b'x'; 30 << 20];
    let url = |path: &str| format!("{}{path}", server.url);
    let json = "application/json";
    for (path, content_type, status, code) in [
        ("/v1/edit", json, 413, "request_too_large"),
        ("/v1/edit", "text/plain", 415, "unsupported_media_type"),
        ("/v1/edits", json, 404, "route_not_found"),
        ("/v1/models", json, 405, "method_not_allowed"),
    ] {
        let request = server
            .client
            .post(url(path))
            .header("content-type", content_type);
        problem(
            request.body(large.clone()).send().await.unwrap(),
            status,
            code,
        )
        .await;
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_is_answered_at_once() {
    let server = Scripted::stub_with(|config| config.server.max_body_bytes = 10_000).await;
    let head = "POST /v1/edit HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n";
    let answer = exchange(&server, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn bodies_together_are_bounded() {
    let server = Scripted::stub_with(|config| config.server.max_body_bytes = 100_000).await;
    let head = "POST /v1/edit HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 90000\r\n\r\n";
    let part = format!("{head}{}", "x".repeat(80_000));
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap())
            .await
            .unwrap();
        stream.write_all(part.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    problem(
        server
            .edit(&body(json!({"instruction": "x".repeat(8000)})))
            .await,
        503,
        "overloaded",
    )
    .await;
    drop(slow);
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.edited(&body(json!({}))).await;
}

/// Sends bytes and reads until the server closes or falls silent.
async fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(count @ 1..)) =
        tokio::time::timeout(Duration::from_secs(2), stream.read(&mut buffer)).await
    {
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_stalls_is_a_408() {
    let server =
        Scripted::stub_with(|config| config.server.request_timeout = Duration::from_millis(300))
            .await;
    let head = "POST /v1/edit HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let answer = exchange(&server, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
}

#[tokio::test]
async fn a_head_that_stalls_is_closed() {
    let server =
        Scripted::stub_with(|config| config.server.request_timeout = Duration::from_millis(300))
            .await;
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    stream
        .write_all(b"POST /v1/edit HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection is still open");
}

#[tokio::test]
async fn the_request_id_is_echoed_where_it_is_harmless() {
    let server = Scripted::stub().await;
    let id = |given: &'static str| {
        let request = server
            .client
            .get(format!("{}/nothing", server.url))
            .header("x-request-id", given);
        async move {
            let response = request.send().await.unwrap();
            let id = response.headers()["x-request-id"]
                .to_str()
                .unwrap()
                .to_owned();
            problem(response, 404, "route_not_found").await;
            id
        }
    };
    assert_eq!(id("job-7.a_B").await, "job-7.a_B");
    for bad in ["", "a b", "a\"b", "x/../y"] {
        assert!(id(bad).await.starts_with("req_"), "{bad}");
    }
    let answered = server.get("/health/live").await;
    assert!(
        answered.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_")
    );
}

#[tokio::test]
async fn problem_json_is_sent_where_accept_names_it() {
    let server = Scripted::stub().await;
    for (accept, expected) in [
        ("*/*", "application/json"),
        ("application/problem+json", "application/problem+json"),
        (
            "application/json, application/problem+json;q=0.9",
            "application/json",
        ),
        ("image/png", "application/json"),
    ] {
        let request = server
            .post()
            .header("accept", accept)
            .json(&body(json!({"n": 0})));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], expected, "{accept}");
        problem(response, 400, "invalid_request").await;
    }
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let server = Scripted::stub().await;
    let response = server
        .client
        .head(format!("{}/health/live", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn running_edits_finish_after_the_stop() {
    let server = Scripted::stub().await;
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    let body =
        json!({"image": pictures::base64(&pictures::png()), "instruction": crate::stub::HOLD})
            .to_string();
    let head = format!(
        "POST /v1/edit HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .unwrap();
    let script = server.script.clone();
    let started = || script.started.load(std::sync::atomic::Ordering::SeqCst) == 2;
    crate::support::until("the edit starts", started).await;
    // Tells the server to stop and, as it goes, the editor to finish.
    drop(server);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

//! Spans of requests, as a collector gets them.
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread,
};

use crate::{
    process::npedit,
    serve::{Service, multipart, picture},
};

/// Takes one batch of spans; answers where it was sent to and its body.
fn collected(listener: TcpListener) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .unwrap();
    (first, body)
}

#[test]
fn an_edit_and_its_stages_are_spans_in_the_trace_of_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let settings = format!("[traces]\notlp_endpoint = {endpoint:?}\n");
    fs::write(dir.path().join("traced.toml"), settings).unwrap();
    let collector = thread::spawn(|| collected(listener));
    let mut service = Service::start(dir.path(), &["--config", "traced.toml"]);
    service.line_with("\"ready\"");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("host: test\r\ntraceparent: 00-{trace}-b7ad6b7169203331-01");
    let request = multipart(&picture());
    let head = String::from_utf8_lossy(&request[..200]).into_owned();
    let place = head.find("host: test").unwrap();
    let traced = [
        &request[..place],
        parent.as_bytes(),
        &request[place + "host: test".len()..],
    ];
    let answer = service.request(&traced.concat());
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    // what is left is sent before the service ends
    service.signal("TERM");
    assert_eq!(service.exit_code(), Some(0));
    let (line, body) = collector.join().unwrap();
    assert!(line.starts_with("POST /v1/traces "), "{line}");
    let has = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
    for name in ["POST /v1/edit", "queue", "denoise", "decode", "write"] {
        assert!(has(name.as_bytes()), "no span {name}");
    }
    let id: Vec<u8> = (0..16)
        .map(|at| u8::from_str_radix(&trace[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    assert!(has(&id), "another trace");
}

#[test]
fn an_endpoint_that_is_no_address_is_a_mistake_of_the_settings() {
    let dir = tempfile::tempdir().unwrap();
    let settings = "[traces]\notlp_endpoint = \"collector:4317\"\n";
    fs::write(dir.path().join("bad.toml"), settings).unwrap();
    npedit(dir.path(), &["config", "check", "--config", "bad.toml"])
        .fails_with(2, &["traces.otlp_endpoint", "http://HOST:PORT"]);
}

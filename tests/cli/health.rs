//! `npedit health`, as a container's health check runs it.
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread,
};

use crate::process::npedit;

/// Answers one request with `answer` and tells what was asked.
fn answering(answer: &'static [u8]) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        reader.read_line(&mut line).unwrap();
        stream.write_all(answer).unwrap();
        drop(stream);
        // Until the client has closed: an answer must not be lost to a reset.
        let _ = reader.read_to_end(&mut Vec::new());
        line
    });
    (port, asked)
}

#[test]
fn a_ready_service_is_healthy() {
    let dir = tempfile::tempdir().unwrap();
    let (port, asked) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(
        npedit(dir.path(), &["health", "--port", &port]).succeeds(),
        ""
    );
    assert_eq!(asked.join().unwrap(), "GET /health/ready HTTP/1.1\r\n");
}

#[test]
fn one_that_loads_or_is_gone_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _) = answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
    npedit(dir.path(), &["health", "--port", &port])
        .fails_with(1, &["503 Service Unavailable", "wait, or read its log"]);
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    npedit(dir.path(), &["health", "--port", &free.port().to_string()])
        .fails_with(1, &["nothing answers at 127.0.0.1", "start the service"]);
}

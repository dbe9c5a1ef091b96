//! The service as a supervisor runs it.
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::process::{command, npedit};

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Service {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    address: String,
}

impl Service {
    pub(super) fn start(dir: &Path, more: &[&str]) -> Self {
        let mut args = vec!["serve", "--port", "0"];
        args.extend(more);
        let mut child = command(dir, &args).stderr(Stdio::piped()).spawn().unwrap();
        let mut service = Self {
            log: BufReader::new(child.stderr.take().unwrap()),
            child,
            address: String::new(),
        };
        let line: serde_json::Value =
            serde_json::from_str(&service.line_with("listening")).unwrap();
        service.address = line["address"].as_str().unwrap().to_owned();
        service
    }

    /// The next line of the log that says `part`.
    pub(super) fn line_with(&mut self, part: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(
                self.log.read_line(&mut line).unwrap() > 0,
                "the log ended without {part:?}"
            );
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(super) fn request(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        String::from_utf8(self.request(request.as_bytes())).unwrap()
    }

    pub(super) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(super) fn exit_code(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the service did not end");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let gradient = image::RgbImage::from_fn(64, 48, |x, y| {
        image::Rgb([(x * 4) as u8, (y * 5) as u8, 99])
    });
    gradient
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

pub(super) fn multipart(picture: &[u8]) -> Vec<u8> {
    let mut body =
        b"--XX\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n"
            .to_vec();
    body.extend(picture);
    for (name, value) in [("instruction", "make it winter"), ("seed", "11")] {
        body.extend(
            format!("\r\n--XX\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}")
                .bytes(),
        );
    }
    body.extend(b"\r\n--XX--\r\n");
    let mut request = format!(
        "POST /v1/edit HTTP/1.1\r\nhost: test\r\nconnection: close\r\naccept: image/png\r\ncontent-type: multipart/form-data; boundary=XX\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    request
}

#[test]
fn an_edit_over_http_has_the_bytes_of_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(dir.path(), &[]);
    service.line_with("is tiny");
    service.line_with("\"ready\"");
    assert!(service.get("/health/ready").starts_with("HTTP/1.1 200"));
    let answer = service.request(&multipart(&picture()));
    let split = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer[..split])
    );
    fs::write(dir.path().join("in.png"), picture()).unwrap();
    npedit(
        dir.path(),
        &[
            "edit",
            "in.png",
            "make it winter",
            "-o",
            "out.png",
            "--seed",
            "11",
        ],
    )
    .succeeds();
    assert!(
        answer[split + 4..] == fs::read(dir.path().join("out.png")).unwrap(),
        "other bytes over HTTP"
    );
}

#[test]
fn what_it_measures_at_its_start_is_exported() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(dir.path(), &[]);
    service.line_with("\"ready\"");
    let metrics = service.get("/metrics");
    // engine.queue_depth, and the one that runs
    assert!(metrics.contains("\nedit_queue_capacity 17\n"), "{metrics}");
    assert!(metrics.contains("\nready 1\n"), "{metrics}");
}

#[test]
fn signals_stop_it_cleanly() {
    for name in ["TERM", "INT"] {
        let dir = tempfile::tempdir().unwrap();
        let mut service = Service::start(dir.path(), &[]);
        service.line_with("\"ready\"");
        service.signal(name);
        assert_eq!(service.exit_code(), Some(0), "after SIG{name}");
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(
            left,
            ["npedit-data"],
            "it left files outside its data directory"
        );
    }
}

#[test]
fn a_model_that_does_not_load_ends_it_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(dir.path(), &["--model", "hf:o/n", "--offline"]);
    service.line_with("npedit pull hf:o/n");
    assert_eq!(service.exit_code(), Some(3));
}

#[test]
fn a_taken_port_is_said_so_before_anything_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    npedit(dir.path(), &["serve", "--port", &port])
        .fails_with(1, &["cannot listen on", &port, "--port"]);
    npedit(dir.path(), &["serve", "--host", "nowhere"]).fails_with(2, &["nowhere"]);
    npedit(dir.path(), &["serve", "--config", "none.toml"]).fails_with(2, &["none.toml"]);
}

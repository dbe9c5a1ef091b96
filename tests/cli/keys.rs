//! Keys on the command line, and a service that asks for them.
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::process::{command, npedit};

const PATIENCE: Duration = Duration::from_secs(60);

/// A service whose whole log is kept.
struct Logged {
    child: Child,
    log: PathBuf,
    address: String,
}

impl Logged {
    fn start(dir: &Path, more: &[&str]) -> Self {
        let log = dir.join("log");
        let mut args = vec!["serve", "--port", "0"];
        args.extend(more);
        let child = command(dir, &args)
            .env("NPEDIT__LOG__LEVEL", "trace")
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut service = Self {
            child,
            log,
            address: String::new(),
        };
        let line = service.line_with("listening");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let port = line["address"]
            .as_str()
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap();
        service.address = format!("127.0.0.1:{port}");
        service
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    fn line_with(&self, part: &str) -> String {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let text = self.text();
            let mut lines = text.split_inclusive('\n');
            let found = lines.find(|line| line.contains(part) && line.ends_with('\n'));
            if let Some(line) = found {
                return line.to_owned();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the log never said {part:?}: {}", self.text());
    }

    /// Status of the answer to a request with that key.
    fn status(&self, request: &str, key: Option<&str>) -> u16 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let key = key.map(|key| format!("authorization: Bearer {key}\r\n"));
        let key = key.unwrap_or_default();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{key}content-length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn created(dir: &Path, name: &str, scopes: &str) -> String {
    let args = ["key", "create", "--name", name, "--scope", scopes];
    let run = npedit(dir, &args);
    let secret = run.succeeds().trim().to_owned();
    assert!(secret.starts_with("npe_") && secret.len() == 47, "{secret}");
    assert!(!run.stderr.contains(&secret));
    secret
}

fn listed(dir: &Path) -> Vec<serde_json::Value> {
    let list = npedit(dir, &["key", "list"]).succeeds();
    serde_json::from_str(&list).unwrap()
}

#[test]
fn beyond_loopback_it_serves_nobody_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    npedit(dir.path(), &["serve", "--port", "0", "--host", "0.0.0.0"])
        .fails_with(2, &["0.0.0.0", "npedit key create", "--allow-anonymous"]);
    let open = Logged::start(dir.path(), &["--host", "0.0.0.0", "--allow-anonymous"]);
    open.line_with("nothing asks them who they are");
    assert_eq!(open.status("GET /v1/finetune", None), 200);
    // its numbers are not for everybody
    assert_eq!(open.status("GET /metrics", None), 403);
    drop(open);
    let secret = created(dir.path(), "ops", "admin");
    let shut = Logged::start(dir.path(), &["--host", "0.0.0.0"]);
    assert_eq!(shut.status("GET /v1/finetune", None), 401);
    assert_eq!(shut.status("GET /metrics", Some(&secret)), 200);
}

#[test]
fn keys_come_and_go_beside_a_running_service_and_no_log_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let service = Logged::start(dir.path(), &[]);
    let ask = |key| service.status("GET /v1/finetune", key);
    assert_eq!(ask(None), 200);
    let secret = created(dir.path(), "ci", "finetune,score");
    let edits = created(dir.path(), "edits", "edit");
    let wrong = "npe_wrongwrongwrongwrongwrongwrongwrongwrongwro";
    let (none, mine) = (ask(None), ask(Some(&secret)));
    assert_eq!(
        (none, mine, ask(Some(&edits)), ask(Some(wrong))),
        (401, 200, 403, 401)
    );
    let keys = listed(dir.path());
    assert_eq!(
        (&keys[0]["name"], &keys[0]["state"]),
        (&"ci".into(), &"works".into())
    );
    assert_eq!(keys[0]["scopes"], serde_json::json!(["score", "finetune"]));
    assert!(secret.starts_with(keys[0]["prefix"].as_str().unwrap()));
    let id = keys[0]["id"].as_str().unwrap();
    assert!(
        npedit(dir.path(), &["key", "revoke", id])
            .succeeds()
            .contains(id)
    );
    assert_eq!(ask(Some(&secret)), 401);
    assert_eq!(listed(dir.path())[0]["state"], "revoked");
    service.line_with("invalid_api_key");
    let log = service.text();
    assert!(log.contains("\"caller\":\"ci\""), "{log}");
    for secret in [&*secret, &edits, wrong] {
        assert!(!log.contains(secret), "a key is in the log");
    }
    // nor is one in what is kept
    for name in ["npedit.db", "npedit.db-wal"] {
        let kept = fs::read(dir.path().join("npedit-data").join(name)).unwrap_or_default();
        let kept = String::from_utf8_lossy(&kept);
        assert!(!kept.contains(&secret) && !kept.contains(&edits), "{name}");
    }
}

#[test]
fn mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let key = |args: &[&str]| npedit(dir.path(), &[&["key"], args].concat());
    for name in ["", "Upper", "anonymous", "a b", "-a"] {
        let name = format!("--name={name}");
        key(&["create", &name, "--scope", "edit"]).fails_with(2, &["name"]);
    }
    key(&["create", "--name", "a", "--scope", "fly"]).fails_with(2, &["fly", "finetune"]);
    key(&["create", "--name", "a"]).fails_with(2, &["--scope"]);
    key(&["revoke", "key_none"]).fails_with(2, &["key_none", "npedit key list"]);
    assert!(listed(dir.path()).is_empty());
    // a key where its hash belongs is refused without being repeated
    let mut serve = command(dir.path(), &["serve", "--port", "0"]);
    let serve = serve.env("NPEDIT__AUTH__KEYS", "ops:edit:npe_plain");
    let run = crate::process::finish(serve.output().unwrap());
    run.fails_with(2, &["auth.keys", "SHA256"]);
    assert!(!run.stderr.contains("npe_plain"), "{}", run.stderr);
}

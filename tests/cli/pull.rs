use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{
    fake_hub::{COMMIT, FakeHub, State},
    process::{Run, command, finish, npedit},
};

fn bundle() -> State {
    let weights: Vec<u8> = (0..200_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    let files = [
        (
            "model_index.json",
            br#"{"transformer": ["d", "T"], "tokenizer": ["t", "Q"]}"#.to_vec(),
        ),
        ("transformer/config.json", b"{}".to_vec()),
        (
            "transformer/diffusion_pytorch_model.safetensors",
            weights.clone(),
        ),
        ("transformer/model.py", b"print('never fetched')".to_vec()),
        ("tokenizer/tokenizer.json", b"{\"a\": 1}".to_vec()),
        ("README.md", b"# hello".to_vec()),
        ("editor.pt", weights),
    ];
    State {
        files: files
            .into_iter()
            .map(|(path, content)| (path.to_owned(), content))
            .collect(),
        large: vec![
            "transformer/diffusion_pytorch_model.safetensors".into(),
            "editor.pt".into(),
        ],
        ..State::default()
    }
}

fn pull(dir: &Path, endpoint: &str, args: &[&str]) -> Run {
    let all: Vec<&str> = std::iter::once("pull")
        .chain(args.iter().copied())
        .collect();
    let mut command = command(dir, &all);
    finish(
        command
            .env("HF_ENDPOINT", endpoint)
            .stdin(Stdio::null())
            .output()
            .unwrap(),
    )
}

fn pulled(run: &Run) -> PathBuf {
    PathBuf::from(run.succeeds().trim_end())
}

#[test]
fn a_bundle_arrives_whole_and_without_code() {
    let dir = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(bundle());
    let run = pull(dir.path(), &hub.endpoint, &["hf:o/n"]);
    let path = pulled(&run);
    assert!(
        path.ends_with(format!("hf/hub/models--o--n/snapshots/{COMMIT}")),
        "{}",
        path.display()
    );
    for (file, content) in &hub.state.lock().unwrap().files {
        let needed = !file.ends_with(".py") && !file.ends_with(".md") && !file.ends_with(".pt");
        assert_eq!(
            fs::read(path.join(file)).ok().as_ref(),
            needed.then_some(content),
            "{file}"
        );
    }
    assert!(
        !run.stderr.contains('\u{1b}') && !run.stderr.contains('\r'),
        "{:?}",
        run.stderr
    );
    // Again: only asks for the commit, then works without the server.
    let before = hub.requests().len();
    pull(dir.path(), &hub.endpoint, &["hf:o/n"]).succeeds();
    assert!(
        hub.requests()[before..]
            .iter()
            .all(|request| request.contains("/api/"))
    );
    assert_eq!(
        pulled(&pull(
            dir.path(),
            "http://127.0.0.1:1",
            &["hf:o/n", "--offline"]
        )),
        path
    );
    assert_eq!(
        pulled(&pull(
            dir.path(),
            "http://127.0.0.1:1",
            &[&format!("hf:o/n@{COMMIT}"), "--offline"]
        )),
        path
    );
}

#[test]
fn one_model_arrives_whole_and_without_code() {
    let needed = [
        "chat_template.jinja",
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    let index = r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let mut files: Vec<(String, Vec<u8>)> = needed
        .iter()
        .chain(&["README.md", "modeling.py", "onnx/model.onnx"])
        .map(|file| ((*file).to_owned(), file.as_bytes().to_vec()))
        .collect();
    files.push(("model.safetensors.index.json".into(), index.into()));
    let model = State {
        files: files.into_iter().collect(),
        ..State::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(model);
    let path = pulled(&pull(dir.path(), &hub.endpoint, &["hf:o/n"]));
    for (file, content) in &hub.state.lock().unwrap().files {
        let here = needed.contains(&file.as_str()) || file.ends_with(".index.json");
        let found = fs::read(path.join(file)).ok();
        assert_eq!(found.as_ref(), here.then_some(content), "{file}");
    }
    let offline = pull(dir.path(), "http://127.0.0.1:1", &["hf:o/n", "--offline"]);
    assert_eq!(pulled(&offline), path);

    hub.state.lock().unwrap().files.remove("tokenizer.json");
    let other = tempfile::tempdir().unwrap();
    pull(other.path(), &hub.endpoint, &["hf:o/n"])
        .fails_with(3, &["not one model", "it lacks tokenizer.json"]);
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(State {
        cuts: vec![30_000, 50_000],
        ..bundle()
    });
    let path = pulled(&pull(dir.path(), &hub.endpoint, &["hf:o/n/editor.pt"]));
    assert_eq!(
        &fs::read(&path).unwrap(),
        &hub.state.lock().unwrap().files["editor.pt"]
    );
    let ranges: Vec<String> = hub
        .requests()
        .into_iter()
        .filter(|request| request.starts_with("GET /o/n"))
        .collect();
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    assert!(
        ranges[1].contains("Some((50000, 200000))") && ranges[2].contains("Some((80000, 200000))"),
        "{ranges:?}"
    );
}

#[test]
fn a_killed_download_goes_on_in_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(State {
        cuts: vec![0, 0, 0, 0, 0, 60_000],
        ..bundle()
    });
    let run = pull(dir.path(), &hub.endpoint, &["hf:o/n/editor.pt"]);
    run.fails_with(3, &["run the same command again"]);
    let before = hub.requests().len();
    let path = pulled(&pull(dir.path(), &hub.endpoint, &["hf:o/n/editor.pt"]));
    assert_eq!(
        &fs::read(&path).unwrap(),
        &hub.state.lock().unwrap().files["editor.pt"]
    );
    let requests = hub.requests()[before..].to_vec();
    assert!(
        requests
            .iter()
            .any(|request| request.contains("Some((60000, 200000))")),
        "{requests:?}"
    );
}

#[test]
fn a_damaged_file_is_refused_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(State {
        corrupt: true,
        ..bundle()
    });
    pull(dir.path(), &hub.endpoint, &["hf:o/n/editor.pt"]).fails_with(3, &["editor.pt", "damaged"]);
    assert_eq!(
        fs::read_dir(dir.path().join("hf/hub/models--o--n/blobs"))
            .unwrap()
            .count(),
        0
    );
    hub.state.lock().unwrap().corrupt = false;
    pull(dir.path(), &hub.endpoint, &["hf:o/n/editor.pt"]).succeeds();
}

#[test]
fn a_private_repository_needs_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(State {
        token: Some("hf_secret".into()),
        ..bundle()
    });
    pull(dir.path(), &hub.endpoint, &["hf:o/n"])
        .fails_with(3, &["o/n", "HF_TOKEN", "Invalid credentials"]);
    let mut with_token = command(dir.path(), &["pull", "hf:o/n"]);
    with_token
        .env("HF_ENDPOINT", &hub.endpoint)
        .env("HF_TOKEN", "hf_secret");
    let run = finish(with_token.output().unwrap());
    run.succeeds();
    assert!(!run.stderr.contains("hf_secret"));
}

#[test]
fn what_the_hub_does_not_have_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(bundle());
    pull(dir.path(), &hub.endpoint, &["hf:o/other"]).fails_with(3, &["no repository o/other"]);
    pull(dir.path(), &hub.endpoint, &["hf:o/n@v9"]).fails_with(3, &["o/n has no revision v9"]);
    pull(dir.path(), &hub.endpoint, &["hf:o/n/missing.pt"])
        .fails_with(3, &["no file missing.pt", "editor.pt"]);
    hub.state
        .lock()
        .unwrap()
        .files
        .remove("tokenizer/tokenizer.json");
    pull(dir.path(), &hub.endpoint, &["hf:o/n"])
        .fails_with(3, &["not a bundle", "tokenizer/tokenizer.json"]);
}

#[test]
fn offline_opens_no_connection() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    pull(dir.path(), &endpoint, &["hf:o/n", "--offline"])
        .fails_with(3, &["npedit pull hf:o/n", "revision main"]);
    for (name, value) in [("HF_HUB_OFFLINE", "1"), ("NPEDIT__MODEL__OFFLINE", "true")] {
        let mut command = command(dir.path(), &["pull", "hf:o/n"]);
        let run = finish(
            command
                .env("HF_ENDPOINT", &endpoint)
                .env(name, value)
                .output()
                .unwrap(),
        );
        run.fails_with(3, &["downloads are off"]);
    }
    assert!(listener.accept().is_err(), "a connection was opened");
}

#[test]
fn an_unreachable_hub_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    pull(dir.path(), "http://127.0.0.1:1", &["hf:o/n"])
        .fails_with(3, &["could not download", "check the connection"]);
    npedit(dir.path(), &["pull", "hf:o/n@a/../b"]).fails_with(2, &["hf:owner/name"]);
}

//! A server that speaks as much of the hub's API as a download needs, and misbehaves on demand.
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::json;
use sha1::{Digest, Sha1};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does and has seen.
#[derive(Default)]
pub struct State {
    pub files: BTreeMap<String, Vec<u8>>,
    /// Paths whose listing is that of a large file (a pointer in git).
    pub large: Vec<String>,
    pub token: Option<String>,
    /// Break off after so many bytes, once for each entry.
    pub cuts: Vec<usize>,
    /// Send another body than the commit says.
    pub corrupt: bool,
    /// `METHOD path range`
    pub requests: Vec<String>,
}

pub struct FakeHub {
    pub endpoint: String,
    pub state: Arc<Mutex<State>>,
}

impl FakeHub {
    /// Serves repository `o/n` with revision `main`.
    pub fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { endpoint, state }
    }

    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

struct Request {
    method: String,
    path: String,
    range: Option<(usize, usize)>,
    token: Option<String>,
    body: Vec<u8>,
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut range, mut token, mut length) = (None, None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => token = value.strip_prefix("Bearer ").map(str::to_owned),
            "range" => {
                let (from, to) = value.strip_prefix("bytes=")?.split_once('-')?;
                range = Some((from.parse().ok()?, to.parse::<usize>().ok()? + 1));
            }
            _ => {}
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).ok()?;
    Some(Request {
        method,
        path,
        range,
        token,
        body,
    })
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(request) = read_request(&stream) else {
        return;
    };
    let mut state = state.lock().unwrap();
    state.requests.push(format!(
        "{} {} {:?}",
        request.method, request.path, request.range
    ));
    let denied = state.token.is_some() && state.token != request.token;
    let path = request.path.trim_start_matches('/');
    if denied {
        let body = json!({"error": "Invalid credentials"}).to_string();
        send(&mut stream, "401 Unauthorized", "", body.as_bytes());
    } else if path == "api/models/o/n/revision/main"
        || path == format!("api/models/o/n/revision/{COMMIT}")
    {
        let siblings: Vec<_> = state
            .files
            .keys()
            .map(|file| json!({"rfilename": file}))
            .collect();
        let body = json!({"id": "o/n", "sha": COMMIT, "siblings": siblings}).to_string();
        send(&mut stream, "200 OK", "", body.as_bytes());
    } else if path.starts_with("api/models/o/n/revision/") {
        send(
            &mut stream,
            "404 Not Found",
            "x-error-code: RevisionNotFound\r\n",
            b"{}",
        );
    } else if path == format!("api/models/o/n/paths-info/{COMMIT}") {
        send(
            &mut stream,
            "200 OK",
            "",
            listing(&state, &request.body).as_bytes(),
        );
    } else if let Some(file) = path.strip_prefix(&format!("o/n/resolve/{COMMIT}/")) {
        send_file(&mut stream, &request, &mut state, file);
    } else {
        send(
            &mut stream,
            "404 Not Found",
            "x-error-code: RepoNotFound\r\n",
            b"{}",
        );
    }
}

fn send_file(stream: &mut TcpStream, request: &Request, state: &mut State, file: &str) {
    let Some(content) = state.files.get(file).cloned() else {
        return send(
            stream,
            "404 Not Found",
            "x-error-code: EntryNotFound\r\n",
            b"",
        );
    };
    let content = if state.corrupt {
        vec![b'#'; content.len()]
    } else {
        content
    };
    let (from, to) = request.range.unwrap_or((0, content.len()));
    if request.method == "HEAD" {
        let head = format!(
            "HTTP/1.1 200 OK\r\netag: \"x\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            content.len()
        );
        let _ = stream.write_all(head.as_bytes());
        return;
    }
    let body = &content[from..to];
    let sent = match state.cuts.pop() {
        Some(cut) => &body[..cut.min(body.len())],
        None => body,
    };
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(sent);
}

fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

fn git_id(content: &[u8]) -> String {
    let id = Sha1::new()
        .chain_update(format!("blob {}\0", content.len()))
        .chain_update(content)
        .finalize();
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Size and object id of the files that the body asks for.
fn listing(state: &State, body: &[u8]) -> String {
    let asked: serde_json::Value = serde_json::from_slice(body).unwrap();
    let asked = asked["paths"].as_array().unwrap();
    let entry = |(path, content): (&String, &Vec<u8>)| {
        if !state.large.contains(path) {
            return json!({"type": "file", "path": path, "size": content.len(), "oid": git_id(content)});
        }
        let sha256: String = sha2::Sha256::digest(content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let size = content.len();
        let pointer = format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        );
        let oid = git_id(pointer.as_bytes());
        json!({"type": "file", "path": path, "size": size, "oid": oid,
               "lfs": {"oid": sha256, "size": size, "pointerSize": pointer.len()}})
    };
    serde_json::Value::Array(
        state
            .files
            .iter()
            .filter(|(path, _)| asked.contains(&json!(path)))
            .map(entry)
            .collect(),
    )
    .to_string()
}

//! Images by URL, from a TLS server of the test and with a look-up that the test answers.
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use npedit::{
    config::Fetch,
    fetch::{Fetcher, Found, Lookup, Ways, is_public},
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, pki_types::PrivateKeyDer},
};

use crate::{
    pictures,
    support::{Scripted, body, pair, pointers, problem},
};

const HOST: &str = "images.test";
/// Answers of a look-up, one after the other; the last one stays.
type Answers = Mutex<Vec<Vec<IpAddr>>>;

struct Scripts {
    answers: Answers,
    asked: AtomicUsize,
}

struct Asked(Arc<Scripts>);

impl Lookup for Asked {
    fn addresses(&self, host: String) -> Found {
        let mut answers = self.0.answers.lock().unwrap();
        self.0.asked.fetch_add(1, SeqCst);
        let answer = match answers.len() {
            0 => Vec::new(),
            1 => answers[0].clone(),
            _ => answers.remove(0),
        };
        drop(answers);
        Box::pin(async move {
            assert!(host.ends_with(".test"), "{host}");
            Ok(answer)
        })
    }
}

/// A host of images, and a service that may ask it.
struct Place {
    server: Scripted,
    scripts: Arc<Scripts>,
    port: u16,
    connections: Arc<AtomicUsize>,
}

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Place {
    async fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(SocketAddr::new(LOCAL, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // a client that does not like the certificate is gone
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream).await;
                    }
                });
            }
        });
        let scripts = Arc::new(Scripts {
            answers: Mutex::new(vec![vec![LOCAL]]),
            asked: AtomicUsize::new(0),
        });
        let root = reqwest::Certificate::from_der(cert.der()).unwrap();
        let ways = Ways {
            lookup: Arc::new(Asked(scripts.clone())),
            may_connect: |address| is_public(address) || address == LOCAL,
            roots: vec![root],
        };
        let allowed = [HOST, "other.test"].map(|host| format!("{host}:{port}").parse().unwrap());
        let settings = Fetch {
            allowed_hosts: allowed.to_vec(),
            timeout: Duration::from_secs(2),
        };
        let fetcher = Fetcher::new(&settings, 100_000, ways).unwrap();
        let server = Scripted::stub_fetching(fetcher).await;
        Self {
            server,
            scripts,
            port,
            connections,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{HOST}:{}{path}", self.port)
    }

    fn answers(&self, answers: Vec<Vec<&str>>) {
        let addresses = answers.into_iter();
        let addresses = addresses.map(|all| all.iter().map(|one| one.parse().unwrap()).collect());
        *self.scripts.answers.lock().unwrap() = addresses.collect();
    }

    async fn refused(&self, url: &str, status: u16, code: &str) -> String {
        let answer = self.server.edit(&body(json!({"image": url}))).await;
        let told = problem(answer, status, code).await;
        assert_eq!(pointers(&told), ["/image"], "{url}");
        told["errors"][0]["message"].as_str().unwrap().to_owned()
    }
}

/// Answers one request by its path.
async fn serve(mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    for secret in ["authorization", "cookie", "referer"] {
        assert!(!head.to_lowercase().contains(secret), "{head}");
    }
    let picture = pictures::png();
    let ok = |length: usize| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
    };
    let answer = match head.split(' ').nth(1).unwrap() {
        "/picture.png" => [ok(picture.len()).into_bytes(), picture].concat(),
        "/page" => [ok(6).into_bytes(), b"<html>".to_vec()].concat(),
        "/large" => ok(100_001).into_bytes(),
        "/endless" => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let _ = stream.write_all(head).await;
            let chunk = [b"2000\r\n".to_vec(), vec![0; 0x2000], b"\r\n".to_vec()].concat();
            while stream.write_all(&chunk).await.is_ok() {}
            return;
        }
        "/slow" => {
            let _ = stream.write_all(ok(10).as_bytes()).await;
            tokio::time::sleep(Duration::from_secs(20)).await;
            return;
        }
        "/cut" => [ok(50).into_bytes(), b"short".to_vec()].concat(),
        "/away" => b"HTTP/1.1 302 Found\r\nlocation: https://169.254.169.254/latest\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
    };
    // the client may have seen enough
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn every_route_takes_a_picture_by_its_url() {
    let place = Place::new().await;
    let url = place.url("/picture.png");
    let fetched = place
        .server
        .edited(&body(json!({"image": url, "seed": 1})))
        .await;
    let sent = place.server.edited(&body(json!({"seed": 1}))).await;
    assert_eq!(fetched["images"], sent["images"]);
    assert_eq!(fetched["receipt"], sent["receipt"]);
    let scored = place
        .server
        .scored(&pair(json!({"reference": url, "edited": url})))
        .await;
    assert!(scored["overall"].is_number());
    let items = json!({"items": [pair(json!({"reference": url}))]});
    place.server.scored(&items).await;
    let images = json!({"images": [{"image_url": url}], "prompt": "make it blue"});
    let request = place
        .server
        .client
        .post(format!("{}/v1/images/edits", place.server.url));
    let answer = request.json(&images).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
}

#[tokio::test]
async fn only_named_hosts_are_asked_and_only_by_https() {
    let place = Place::new().await;
    let port = place.port;
    for (url, code) in [
        (
            format!("http://{HOST}:{port}/picture.png"),
            "image_url_refused",
        ),
        (
            format!("https://u:p@{HOST}:{port}/picture.png"),
            "image_url_refused",
        ),
        (
            format!("https://{HOST}@evil.test:{port}/"),
            "image_url_refused",
        ),
        (format!("https://{HOST}/picture.png"), "image_url_refused"),
        (format!("https://a.{HOST}:{port}/"), "image_url_refused"),
        (format!("https://{HOST}.:{port}/"), "image_url_refused"),
        (format!("https://evil.test:{port}/"), "image_url_refused"),
        (format!("https://127.0.0.1:{port}/"), "image_url_refused"),
        (format!("https://2130706433:{port}/"), "image_url_refused"),
        (format!("https://0x7f000001:{port}/"), "image_url_refused"),
        (format!("https://0177.0.0.1:{port}/"), "image_url_refused"),
        (format!("https://127.1:{port}/"), "image_url_refused"),
        (format!("https://[::1]:{port}/"), "image_url_refused"),
        (
            format!("https://[::ffff:127.0.0.1]:{port}/"),
            "image_url_refused",
        ),
        (format!("https://localhost:{port}/"), "image_url_refused"),
        ("https://".to_owned(), "image_url_refused"),
        (
            format!("https://{HOST}:{port}/{}", "a".repeat(3000)),
            "image_url_refused",
        ),
    ] {
        place.refused(&url, 400, code).await;
    }
    assert_eq!(place.connections.load(SeqCst), 0);
    assert_eq!(place.scripts.asked.load(SeqCst), 0);
}

#[tokio::test]
async fn no_address_inside_is_connected_to() {
    let place = Place::new().await;
    for address in [
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "100.100.100.200",
        "0.0.0.0",
        "127.0.0.2",
        "224.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "fd00:ec2::254",
        "fe80::1",
        "64:ff9b::7f00:1",
    ] {
        place.answers(vec![vec![address]]);
        let told = place
            .refused(&place.url("/picture.png"), 400, "image_url_refused")
            .await;
        assert!(!told.contains(address), "{told}");
        // one among good ones is enough
        place.answers(vec![vec!["127.0.0.1", address]]);
        place
            .refused(&place.url("/picture.png"), 400, "image_url_refused")
            .await;
    }
    assert_eq!(place.connections.load(SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_asked_once() {
    let place = Place::new().await;
    place.answers(vec![vec!["127.0.0.1"], vec!["169.254.169.254"]]);
    place
        .server
        .edited(&body(json!({"image": place.url("/picture.png")})))
        .await;
    assert_eq!(place.scripts.asked.load(SeqCst), 1);
    assert_eq!(place.connections.load(SeqCst), 1);
    // the next request looks again, and no open connection spares it that
    place
        .refused(&place.url("/picture.png"), 400, "image_url_refused")
        .await;
    assert_eq!(place.connections.load(SeqCst), 1);
}

#[tokio::test]
async fn what_does_not_come_is_said_so() {
    let place = Place::new().await;
    let failed = async |path: &str, part: &str| {
        let told = place
            .refused(&place.url(path), 422, "image_url_failed")
            .await;
        assert!(told.contains(part), "{told}");
    };
    failed("/away", "redirects").await;
    failed("/none", "404").await;
    failed("/cut", "no whole answer").await;
    failed("/slow", "within 2 s").await;
    place
        .refused(&place.url("/large"), 413, "image_too_large")
        .await;
    place
        .refused(&place.url("/endless"), 413, "image_too_large")
        .await;
    place
        .refused(&place.url("/page"), 422, "unsupported_image_format")
        .await;
    // another name than the certificate's
    let other = format!("https://other.test:{}/picture.png", place.port);
    place.refused(&other, 422, "image_url_failed").await;
    place.answers(vec![vec![]]);
    failed("/picture.png", "no whole answer").await;
}

#[tokio::test]
async fn by_default_nothing_is_fetched() {
    let server = Scripted::stub().await;
    for url in ["https://images.test/a.png", "http://images.test/a.png"] {
        let told = server.edit(&body(json!({"image": url}))).await;
        let told: Value = problem(told, 400, "image_url_refused").await;
        assert!(told["detail"].as_str().unwrap().contains("fetches none"));
    }
    // rows of a set are never fetched
    let set = json!({"items": [{"image": "https://images.test/a.png", "instruction": "x"}]});
    let request = server.client.post(format!("{}/v1/datasets", server.url));
    let told = request.json(&set).send().await.unwrap();
    let told = problem(told, 400, "invalid_request").await;
    assert_eq!(pointers(&told), ["/items/0/image"]);
}

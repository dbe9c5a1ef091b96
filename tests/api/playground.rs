//! The page at `/` and the documentation at `/docs`: complete, guarded, kept by browsers, and asking nobody else.
use std::{fs, path::Path};

use reqwest::Response;
use serde_json::Value;

use crate::support::{Scripted, problem};

/// Everything that the page may load, in bytes.
const MOST_BYTES: u64 = 300_000;

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value
        .unwrap_or_else(|| panic!("no {name}"))
        .to_str()
        .unwrap()
}

fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path.to_str().unwrap().to_owned()),
        }
    }
}

#[tokio::test]
async fn the_page_is_guarded_and_every_file_of_it_is_served_as_what_it_is() {
    let server = Scripted::stub().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let (mut found, mut total) = (Vec::new(), 0);
    files(&root, &mut found);
    for path in found {
        let name = path.strip_prefix(&format!("{}/", root.display())).unwrap();
        let url = match name {
            "index.html" => "/".to_owned(),
            name => format!("/playground/{name}"),
        };
        let response = server.get(&url).await;
        assert_eq!(response.status(), 200, "{url}");
        let expected = match name.rsplit('.').next().unwrap() {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            other => panic!("{name}: what is {other}?"),
        };
        assert_eq!(header(&response, "content-type"), expected, "{url}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        let policy = header(&response, "content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let bytes = response.bytes().await.unwrap();
        assert_eq!(bytes, fs::read(&path).unwrap(), "{url}");
        total += bytes.len() as u64;
    }
    assert!(total < MOST_BYTES, "{total}");
}

#[tokio::test]
async fn what_the_page_names_is_there_and_is_not_elsewhere() {
    let server = Scripted::stub().await;
    let page = server.get("/").await.text().await.unwrap();
    let named = |start: &'static str| page.split(start).skip(1);
    let mut seen = 0;
    for rest in named("src=\"").chain(named("href=\"")) {
        let url = rest.split('"').next().unwrap();
        if url.starts_with('#') {
            continue;
        }
        assert!(url.starts_with('/'), "{url} is elsewhere");
        assert_eq!(server.get(url).await.status(), 200, "{url}");
        seen += 1;
    }
    assert!(seen > 4);
}

#[tokio::test]
async fn a_browser_that_has_a_file_is_not_sent_it_again() {
    let server = Scripted::stub().await;
    let first = server.get("/playground/app.js").await;
    let tag = header(&first, "etag").to_owned();
    assert_eq!(header(&first, "cache-control"), "no-cache");
    for (kept, status) in [(tag.as_str(), 304), ("\"other\"", 200)] {
        let url = format!("{}/playground/app.js", server.url);
        let again = server.client.get(url).header("if-none-match", kept);
        let again = again.send().await.unwrap();
        assert_eq!(again.status(), status);
        assert_eq!(header(&again, "etag"), tag);
        assert_eq!(again.bytes().await.unwrap().is_empty(), status == 304);
    }
}

#[tokio::test]
async fn files_that_are_none_are_refused_as_anywhere() {
    let server = Scripted::stub().await;
    for path in [
        "/playground/",
        "/playground/nothing.js",
        "/playground/..%2fCargo.toml",
        "/docs/nothing",
    ] {
        problem(server.get(path).await, 404, "route_not_found").await;
    }
}

#[tokio::test]
async fn the_documentation_reads_this_servers_description_and_nothing_else() {
    let server = Scripted::stub().await;
    let page = server.get("/docs").await;
    assert_eq!(page.url().path(), "/docs/");
    let policy = header(&page, "content-security-policy");
    assert!(policy.contains("connect-src 'self'"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    let start = server.get("/docs/swagger-initializer.js").await;
    let start = start.text().await.unwrap();
    assert!(start.contains("/openapi.json"), "{start}");
    assert!(start.contains("\"validatorUrl\": \"none\""), "{start}");
}

#[tokio::test]
async fn recipes_are_listed_by_name() {
    let server = Scripted::stub().await;
    let list: Value = server.get("/v1/recipes").await.json().await.unwrap();
    let names = list["data"].as_array().unwrap();
    let names: Vec<_> = names.iter().map(|recipe| &recipe["name"]).collect();
    assert!(names.contains(&&"np-edit-zimage".into()), "{names:?}");
}

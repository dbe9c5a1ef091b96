//! Keys: which requests are let in, and what the others are told.
use npedit::{
    access::{Scope, Secret},
    config::Choice,
    http::document,
};
use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::{Value, json};

use crate::support::{Scripted, Server, body, problem};

/// Method, path with something in its places, and the scopes of its security; none where it is open.
pub fn operations() -> Vec<(Method, String, Option<Vec<String>>)> {
    let document = serde_json::to_value(document()).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            let key = &operation["security"][0]["key"];
            let scopes = key.as_array().map(|names| {
                let names = names.iter().map(|name| name.as_str().unwrap().to_owned());
                names.collect()
            });
            operations.push((method, path.clone(), scopes));
        }
    }
    operations
}

fn filled(path: &str) -> String {
    let path = path.replace("{action}", "cancel");
    path.replace("{id}", "x").replace("{name}", "x")
}

pub fn request(
    server: &Server,
    method: &Method,
    path: &str,
    key: Option<&Secret>,
) -> RequestBuilder {
    let request = server
        .client
        .request(method.clone(), format!("{}{path}", server.url));
    match key {
        Some(key) => request.bearer_auth(key.reveal()),
        None => request,
    }
}

async fn send(server: &Server, method: &Method, path: &str, key: Option<&Secret>) -> Response {
    request(server, method, path, key).send().await.unwrap()
}

fn challenge(response: &Response) -> String {
    let value = &response.headers()[header::WWW_AUTHENTICATE];
    value.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_key_that_works_nothing_but_probes_is_answered() {
    let server = Scripted::stub().await;
    let revoked = server
        .key(
            "old",
            &Scope::ALL
                .iter()
                .map(|(_, scope)| *scope)
                .collect::<Vec<_>>(),
        )
        .await;
    let id = server.keys.list().await.unwrap()[0].id.clone();
    assert!(server.keys.revoke(&id).await.unwrap());
    let wrong = Secret::draw().unwrap();
    let (mut closed, mut open) = (0, 0);
    for (method, path, scopes) in operations() {
        let path = filled(&path);
        // this server listens on loopback alone
        if scopes.is_none() || path == "/metrics" {
            open += 1;
            assert_eq!(
                send(&server, &method, &path, None).await.status(),
                200,
                "{path}"
            );
            assert_eq!(
                send(&server, &method, &path, Some(&wrong)).await.status(),
                200
            );
            continue;
        }
        closed += 1;
        let none = send(&server, &method, &path, None).await;
        assert_eq!(challenge(&none), "Bearer realm=\"npedit\"");
        let told = problem(none, 401, "missing_api_key").await;
        assert_eq!(told["error"]["type"], "authentication_error");
        for key in [&wrong, &revoked] {
            let refused = send(&server, &method, &path, Some(key)).await;
            assert!(challenge(&refused).contains("invalid_token"));
            let told = problem(refused, 401, "invalid_api_key").await;
            assert!(!told.to_string().contains(key.reveal()));
        }
    }
    assert!(closed > 20 && open == 4, "{closed} {open}");
    for other in ["Basic bnBlOg==", "Bearer", "Bearer ", "npe_x", "\u{e9}"] {
        let value = header::HeaderValue::from_bytes(other.as_bytes()).unwrap();
        let request = request(&server, &Method::GET, "/v1/models", None);
        let refused = request.header("authorization", value).send().await.unwrap();
        problem(refused, 401, "invalid_api_key").await;
    }
    let works = server.key("ci", &[Scope::Edit]).await;
    let twice = request(&server, &Method::GET, "/v1/models", Some(&works));
    let twice = twice.header("authorization", "Bearer npe_other").send();
    problem(twice.await.unwrap(), 401, "invalid_api_key").await;
    let lower = request(&server, &Method::GET, "/v1/models", None);
    let lower = lower.header("authorization", format!("bearer  {} ", works.reveal()));
    assert_eq!(lower.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn each_scope_opens_its_own_routes_and_admin_opens_all() {
    let server = Scripted::stub_with(|config| config.server.host = [0, 0, 0, 0].into()).await;
    for (name, scope) in Scope::ALL {
        let key = server.key(name, &[*scope]).await;
        let (mut let_in, mut kept_out) = (0, 0);
        for (method, path, scopes) in operations() {
            let Some(scopes) = scopes else { continue };
            let path = filled(&path);
            let response = send(&server, &method, &path, Some(&key)).await;
            let fits = scopes.iter().all(|needed| needed == name) || *scope == Scope::Admin;
            if fits {
                let_in += 1;
                let status = response.status().as_u16();
                assert!(
                    ![401, 403, 429].contains(&status),
                    "{method} {path} {status}"
                );
                continue;
            }
            kept_out += 1;
            let needed = &scopes[0];
            assert!(challenge(&response).contains(&format!("scope=\"{needed}\"")));
            let told = problem(response, 403, "insufficient_scope").await;
            assert!(told["detail"].as_str().unwrap().contains(needed), "{told}");
        }
        assert!(let_in >= 2, "{name}");
        assert_eq!(kept_out == 0, *scope == Scope::Admin, "{name}");
    }
    problem(server.get("/metrics").await, 401, "missing_api_key").await;
}

#[tokio::test]
async fn a_server_without_keys_takes_everybody_until_there_is_one() {
    let server = Scripted::stub().await;
    let any = Secret::sent("unused");
    let edit = async |key: Option<&Secret>| {
        let request = request(&server, &Method::POST, "/v1/edit", key);
        request.json(&body(json!({}))).send().await.unwrap()
    };
    assert_eq!(edit(None).await.status(), 200);
    assert_eq!(edit(Some(&any)).await.status(), 200);
    let key = server.key("ci", &[Scope::Edit]).await;
    problem(edit(None).await, 401, "missing_api_key").await;
    problem(edit(Some(&any)).await, 401, "invalid_api_key").await;
    assert_eq!(edit(Some(&key)).await.status(), 200);
}

#[tokio::test]
async fn anonymous_requests_stay_where_the_settings_want_them() {
    let server = Scripted::stub_with(|config| config.auth.allow_anonymous = true).await;
    let key = server.key("ci", &[Scope::Finetune]).await;
    let list = async |key| {
        let response = send(&server, &Method::GET, "/v1/finetune", key).await;
        response.status().as_u16()
    };
    assert_eq!((list(None).await, list(Some(&key)).await), (200, 200));
    assert_eq!(list(Some(&Secret::draw().unwrap())).await, 401);
}

#[tokio::test]
async fn keys_of_the_settings_work_beside_those_of_the_database() {
    let secret = Secret::sent("npe_of_the_settings");
    let hash = secret.hash();
    let server = Scripted::stub_with(|config| {
        config.auth.keys = vec![npedit::config::ConfiguredKey {
            name: "ops".into(),
            scopes: vec![Scope::Edit],
            sha256: hash,
        }];
    })
    .await;
    problem(server.get("/v1/models").await, 401, "missing_api_key").await;
    let other = server.key("ci", &[Scope::Edit]).await;
    for key in [&secret, &other] {
        let models = send(&server, &Method::GET, "/v1/models", Some(key)).await;
        assert_eq!(models.status(), 200);
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_what_not_to_do() {
    let server = Scripted::stub().await;
    let edited = server.edit(&body(json!({}))).await;
    let _key = server.key("ci", &[Scope::Edit]).await;
    let answers = [
        edited,
        server.get("/health/live").await,
        server.get("/openapi.json").await,
        server.get("/nothing").await,
        server.get("/v1/models").await,
    ];
    for answer in answers {
        let headers = answer.headers();
        let url = answer.url().clone();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{url}");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cache-control"], "no-store");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(
            !headers.contains_key("access-control-allow-origin"),
            "{url}"
        );
    }
}

#[tokio::test]
async fn pages_of_named_origins_alone_may_call() {
    let server = Scripted::stub_with(|config| {
        config.server.cors_origins = vec!["https://app.example.org".into()];
    })
    .await;
    let key = server.key("ci", &[Scope::Edit]).await;
    let preflight = async |origin: &str| {
        let request = request(&server, &Method::OPTIONS, "/v1/edit", None);
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        headers.get("access-control-allow-origin").cloned()
    };
    assert_eq!(
        preflight("https://app.example.org").await.unwrap(),
        "https://app.example.org"
    );
    assert_eq!(preflight("https://evil.example.org").await, None);
    let ask = request(&server, &Method::GET, "/v1/models", Some(&key));
    let answer = ask.header("origin", "https://app.example.org");
    let answer = answer.send().await.unwrap();
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "https://app.example.org"
    );
    // a page reads why it is refused, too
    let refused = request(&server, &Method::GET, "/v1/models", None);
    let refused = refused.header("origin", "https://app.example.org");
    let refused = refused.send().await.unwrap();
    assert_eq!(
        refused.headers()["access-control-allow-origin"],
        "https://app.example.org"
    );
    let told: Value = problem(refused, 401, "missing_api_key").await;
    assert!(told["detail"].as_str().unwrap().contains("Bearer"));
}

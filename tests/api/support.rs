//! Starts servers and reads their answers.
use std::{
    ops::Deref,
    sync::{Arc, LazyLock, atomic::Ordering::SeqCst},
    time::Duration,
};

use npedit::{
    access::{Access, Keys, Scope, Scopes, Secret},
    adapters::{AdapterDirectory, AdapterSource, NoAdapters, RegistrySource},
    app::{Application, captioner},
    config::{Config, DeviceChoice, Given},
    engine::{Engine, EngineLimits, Models, Readiness},
    fetch::{Fetcher, Ways},
    http::{HttpState, document, router, serve},
    jobs::{JobSettings, Jobs},
    models::random::{self, Preset},
    storage::{Storage, StorageSettings},
};
use reqwest::{Client, RequestBuilder, Response, StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Handle, sync::oneshot};

use crate::{
    pictures,
    stub::{Script, Stub},
};

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it stops when dropped.
pub struct Server {
    pub url: String,
    pub client: Client,
    stop: Option<oneshot::Sender<()>>,
}

/// A server with an editor and a judge that the test scripts.
pub struct Scripted {
    server: Server,
    pub script: Arc<Script>,
    pub engine: Engine,
    pub jobs: Jobs,
    pub keys: Keys,
    _data: TempDir,
}

impl Deref for Scripted {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        // Lets a held edit end, so that the device thread does.
        self.script.open.store(true, SeqCst);
    }
}

pub fn default_config() -> Config {
    Config::load(&Given::default()).unwrap().config
}

impl Scripted {
    /// A ready server with the stub editor.
    pub async fn stub() -> Self {
        Self::stub_with(|_| {}).await
    }

    /// A ready server with the stub editor and other settings.
    pub async fn stub_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = default_config();
        change(&mut config);
        let script = Arc::new(Script::default());
        script.judgeless.store(!config.judge.enabled, SeqCst);
        let stub = Stub(script.clone());
        let server = Self::start(config, script, move || Ok::<_, std::io::Error>(stub)).await;
        assert!(matches!(server.engine.started().await, Readiness::Ready(_)));
        server
    }

    /// A server whose editor is still to be loaded.
    pub async fn start<M: Models, L: std::error::Error + Send + Sync + 'static>(
        config: Config,
        script: Arc<Script>,
        load: impl FnOnce() -> Result<M, L> + Send + 'static,
    ) -> Self {
        let fetcher = Fetcher::new(&config.fetch, config.images.max_bytes, Ways::default());
        Self::start_with(config, fetcher.unwrap(), script, load).await
    }

    /// A ready server with the stub editor that fetches images.
    pub async fn stub_fetching(fetcher: Fetcher) -> Self {
        let script = Arc::new(Script::default());
        let stub = Stub(script.clone());
        let load = move || Ok::<_, std::io::Error>(stub);
        let server = Self::start_with(default_config(), fetcher, script, load).await;
        assert!(matches!(server.engine.started().await, Readiness::Ready(_)));
        server
    }

    async fn start_with<M: Models, L: std::error::Error + Send + Sync + 'static>(
        config: Config,
        fetcher: Fetcher,
        script: Arc<Script>,
        load: impl FnOnce() -> Result<M, L> + Send + 'static,
    ) -> Self {
        let data = tempfile::tempdir().unwrap();
        let settings = StorageSettings {
            data_dir: data.path().to_owned(),
            ..StorageSettings::from(&config.storage)
        };
        let storage = Storage::open(&settings).await.unwrap();
        let keys = Keys::new(storage.database.clone());
        let access = Access::new(&config.auth, storage.database.clone());
        let jobs = Jobs::new(storage, JobSettings::from(&config));
        let jobs = jobs.with_captioner(captioner(&config).unwrap());
        let other: Arc<dyn AdapterSource> = match &config.adapters.directory {
            Some(directory) => Arc::new(AdapterDirectory::open(directory).unwrap()),
            None => Arc::new(NoAdapters),
        };
        let adapters = RegistrySource::new(jobs.registry.clone(), Handle::current(), other);
        let adapters = Arc::new(adapters);
        let engine = Engine::start(EngineLimits::from(&config), adapters, load).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router(HttpState::new(
            engine.clone(),
            jobs.clone(),
            access,
            fetcher,
            &config,
        ));
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(async move {
            serve(listener, router, &config.server, async {
                drop(stopped.await)
            })
            .await;
        });
        let server = Server {
            url,
            client: Client::new(),
            stop: Some(stop),
        };
        Self {
            server,
            script,
            engine,
            jobs,
            keys,
            _data: data,
        }
    }

    /// A key that works.
    pub async fn key(&self, name: &str, scopes: &[Scope]) -> Secret {
        let (secret, scopes) = (Secret::draw().unwrap(), Scopes::new(scopes.to_vec()));
        self.keys.create(secret, name, scopes).await.unwrap().secret
    }
}

impl Server {
    /// The whole application on its embedded bundle, ready.
    pub async fn embedded() -> Self {
        Self::embedded_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn embedded_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = default_config();
        change(&mut config);
        Self::application(config).await
    }

    /// The whole application on a random bundle that has a judge, ready.
    pub async fn judged() -> Self {
        Self::judged_with(|_| {}).await
    }

    pub async fn judged_with(change: impl FnOnce(&mut Config)) -> Self {
        static BUNDLE: LazyLock<TempDir> = LazyLock::new(|| {
            let dir = tempfile::tempdir().unwrap();
            random::write(&dir.path().join("mine"), Preset::Tiny, 0).unwrap();
            dir
        });
        let mut config = default_config();
        config.model.reference = Some(BUNDLE.path().join("mine").display().to_string());
        change(&mut config);
        Self::application(config).await
    }

    async fn application(mut config: Config) -> Self {
        let data = tempfile::tempdir().unwrap();
        config.storage.data_dir = data.path().to_owned();
        config.server.port = 0;
        config.model.device = DeviceChoice::Cpu;
        let application = Application::build(config).await.unwrap();
        let url = format!("http://{}", application.address());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(async move {
            application
                .run_until_stopped(async { drop(stopped.await) })
                .await
                .unwrap();
        });
        let server = Self {
            url,
            client: Client::new(),
            stop: Some(stop),
        };
        let ready = async {
            while server.get("/health/ready").await.status() != StatusCode::OK {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, ready).await.is_ok(),
            "never ready"
        );
        server
    }

    /// Tells the server to stop, as a signal does.
    pub fn stop(&mut self) {
        self.stop = None;
    }

    pub fn post(&self) -> RequestBuilder {
        self.client.post(format!("{}/v1/edit", self.url))
    }

    pub fn post_score(&self) -> RequestBuilder {
        self.client.post(format!("{}/v1/score", self.url))
    }

    pub async fn score(&self, body: &Value) -> Response {
        self.post_score().json(body).send().await.unwrap()
    }

    /// The answer to a request for scores that must succeed.
    pub async fn scored(&self, body: &Value) -> Value {
        answered(self.score(body).await).await
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap()
    }

    pub async fn edit(&self, body: &Value) -> Response {
        self.post().json(body).send().await.unwrap()
    }

    /// The answer to a request that must succeed.
    pub async fn edited(&self, body: &Value) -> Value {
        answered(self.edit(body).await).await
    }
}

async fn answered(response: Response) -> Value {
    let status = response.status();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// A request that works, with `fields` on top; `null` takes a field away.
pub fn body(fields: Value) -> Value {
    let mut body =
        json!({"image": pictures::base64(&pictures::png()), "instruction": "make it blue"});
    for (name, value) in fields.as_object().unwrap() {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    body
}

/// The problem of an answer, after checks that every problem passes.
pub async fn problem(response: Response, status: u16, code: &str) -> Value {
    let headers = response.headers().clone();
    let found = response.status().as_u16();
    let text = response.text().await.unwrap();
    let problem: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{found} {text}"));
    assert_eq!(
        (found, problem["error"]["code"].as_str()),
        (status, Some(code)),
        "{problem:#}"
    );
    assert_eq!(problem["type"], format!("urn:npedit:error:{code}"));
    assert_eq!(problem["status"], status);
    assert_eq!(problem["error"]["message"], problem["detail"]);
    let id = headers["x-request-id"].to_str().unwrap();
    assert_eq!(problem["instance"], format!("/requests/{id}"));
    let media_type = headers[header::CONTENT_TYPE].to_str().unwrap();
    assert!(["application/json", "application/problem+json"].contains(&media_type));
    problem
}

/// A request for a score that works, with `fields` on top; `null` takes a field away.
pub fn pair(fields: Value) -> Value {
    let edited = pictures::encoded(pictures::gradient(40, 30), image::ImageFormat::Png);
    let mut all = json!({"reference": pictures::base64(&pictures::png()), "edited": pictures::base64(&edited)});
    all.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    all["image"] = Value::Null;
    body(all)
}

/// The problem of a body that must be refused; checked to be documented.
pub async fn refused(server: &Server, body: &Value, status: u16, code: &str) -> Value {
    documented("/v1/edit", status, code);
    problem(server.edit(body).await, status, code).await
}

/// The problem of a request for scores that must be refused; checked to be documented.
pub async fn score_refused(server: &Server, body: &Value, status: u16, code: &str) -> Value {
    documented("/v1/score", status, code);
    problem(server.score(body).await, status, code).await
}

fn documented(path: &str, status: u16, code: &str) {
    let responses = &serde_json::to_value(document()).unwrap()["paths"][path]["post"]["responses"];
    let description = responses[status.to_string()]["description"]
        .as_str()
        .unwrap();
    assert!(
        description.contains(&format!("`{code}`")),
        "{path}: {status} {code} is not documented"
    );
}

/// Pointers of a problem, in order.
pub fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect()
}

/// Waits until something is so.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "never: {what}"
    );
}

//! On a server: its routes, as any client uses them.
use std::time::{Duration, Instant};

use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use super::{
    Asked, FinetuneError,
    error::lines,
    follow::{Follower, Verdict},
    set::SentSet,
};

/// How long a server may be away while its job is followed.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

struct Server<'a> {
    url: &'a str,
    key: Option<&'a str>,
    client: Client,
}

pub(super) async fn run(
    (url, key): (&str, Option<&str>),
    asked: &Asked,
) -> Result<Verdict, FinetuneError> {
    let server = Server {
        url,
        key,
        client: Client::new(),
    };
    server.keep(&asked.set).await?;
    let mut body = json!({
        "dataset": asked.set.name(),
        "recipe": asked.recipe,
        "overrides": asked.overrides,
        "base_adapter": asked.base_adapter,
        "publish_as": asked.publish_as,
    });
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let request = server.client.post(format!("{url}/v1/finetune")).json(&body);
    let job = accepted(server.send(request).await?).await?;
    let id = job["id"].as_str().unwrap_or_default();
    let follower = Follower::new(id, job["progress"]["steps"].as_u64().unwrap_or_default());
    follower.note(&format!(
        "job {id}; cancel it with POST {url}/v1/finetune/{id}/cancel"
    ));
    server.follow(id, &follower).await
}

impl Server<'_> {
    async fn send(&self, request: RequestBuilder) -> Result<Response, FinetuneError> {
        let request = match self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        request
            .send()
            .await
            .map_err(|source| self.unreachable(source))
    }

    fn unreachable(&self, source: reqwest::Error) -> FinetuneError {
        FinetuneError::Unreachable {
            url: self.url.to_owned(),
            source,
        }
    }

    async fn keep(&self, set: &SentSet) -> Result<(), FinetuneError> {
        let SentSet::Packed { name, archive } = set else {
            return Ok(());
        };
        // its name says whether it is the same
        let known = self.client.get(format!("{}/v1/datasets/{name}", self.url));
        if self.send(known).await?.status().is_success() {
            return Ok(());
        }
        let file = Part::bytes(archive.clone()).file_name("set.zip");
        let form = Form::new().text("name", name.clone()).part("file", file);
        let request = self.client.post(format!("{}/v1/datasets", self.url));
        accepted(self.send(request.multipart(form)).await?).await?;
        Ok(())
    }

    /// Reads the events of a job, again from the last where the connection ends.
    async fn follow(&self, id: &str, follower: &Follower) -> Result<Verdict, FinetuneError> {
        let (mut after, mut heard) = (0, Instant::now());
        loop {
            let request = self
                .client
                .get(format!("{}/v1/finetune/{id}/events", self.url));
            let request = request.header("last-event-id", after.to_string());
            let answer = match self.send(request).await {
                // a server that starts again, or whose database is away, comes back
                Ok(answer) if answer.status() != StatusCode::SERVICE_UNAVAILABLE => Ok(answer),
                Ok(answer) => Err(accepted(answer).await.err()),
                Err(error) => Err(Some(error)),
            };
            match answer {
                Ok(answer) => {
                    heard = Instant::now();
                    if let Some(verdict) = listen(answer, &mut after, follower).await? {
                        return Ok(verdict);
                    }
                }
                Err(Some(error)) if heard.elapsed() > PATIENCE => return Err(error),
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Events of one answer, one JSON object a line; none where it ends before the job does.
async fn listen(
    mut answer: Response,
    after: &mut i64,
    follower: &Follower,
) -> Result<Option<Verdict>, FinetuneError> {
    if !answer.status().is_success() {
        return accepted(answer).await.map(|_| None);
    }
    let mut rest = Vec::new();
    // an error is a connection that ended
    while let Ok(Some(chunk)) = answer.chunk().await {
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let Ok(event) = serde_json::from_slice::<Value>(&line) else {
                continue;
            };
            *after = event["seq"].as_i64().unwrap_or(*after);
            let kind = event["kind"].as_str().unwrap_or_default();
            if let Some(verdict) = follower.hear(kind, &event["data"]) {
                return Ok(Some(verdict));
            }
        }
    }
    Ok(None)
}

/// The answer of a request that was accepted; else what the server says of it.
async fn accepted(answer: Response) -> Result<Value, FinetuneError> {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    let detail = body["detail"].as_str().unwrap_or("without a reason");
    let errors = body["errors"].as_array().into_iter().flatten();
    let errors = errors.map(|error| {
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        format!("{} {}", text("pointer"), text("message"))
    });
    Err(FinetuneError::Refused {
        problem: format!("{status}: {detail}{}", lines(errors)),
    })
}

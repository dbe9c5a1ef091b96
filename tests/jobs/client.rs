//! What a client asks of the service.
use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Response;
use serde_json::{Value, json};

use crate::place::PATIENCE;

pub struct Client {
    url: String,
    http: reqwest::Client,
}

impl Client {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            http: reqwest::Client::new(),
        }
    }

    pub async fn get(&self, path: &str) -> Response {
        let sent = self.http.get(format!("{}{path}", self.url)).send();
        sent.await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        let request = self.http.post(format!("{}{path}", self.url));
        request.json(body).send().await
    }

    /// The answer to a request that must succeed.
    pub async fn got(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        answer.json().await.unwrap()
    }

    pub async fn ready(&self) {
        let start = Instant::now();
        while !self.get("/health/ready").await.status().is_success() {
            assert!(start.elapsed() < PATIENCE, "never ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Keeps the set "mine".
    pub async fn keep_set(&self) {
        let items: Vec<Value> = (0..4).map(item).collect();
        let body = json!({"name": "mine", "items": items});
        let made = self.post("/v1/datasets", &body).await.unwrap();
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    }

    /// Queues a job on the set "mine"; its id.
    pub async fn submit(&self, overrides: Value) -> String {
        let body = json!({"dataset": "mine", "recipe": "mine", "overrides": overrides});
        let made = self.post("/v1/finetune", &body).await.unwrap();
        let job: Value = made.json().await.unwrap();
        job["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{job}"))
            .to_owned()
    }

    pub async fn job(&self, id: &str) -> Value {
        self.got(&format!("/v1/finetune/{id}")).await
    }

    /// Waits until the job is as `holds` says.
    pub async fn until(&self, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let job = self.job(id).await;
            if holds(&job) {
                return job;
            }
            assert!(start.elapsed() < PATIENCE, "it stays {job:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The job once it ended.
    pub async fn ended(&self, id: &str) -> Value {
        let ends = ["succeeded", "failed", "cancelled"];
        self.until(id, |job| ends.contains(&job["status"].as_str().unwrap()))
            .await
    }

    /// Everything that happened to an ended job: numbered without a gap, every step and the end told once.
    pub async fn story(&self, id: &str) -> Vec<Value> {
        let text = self.get(&format!("/v1/finetune/{id}/events")).await;
        let text = text.text().await.unwrap();
        let events: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for (index, event) in events.iter().enumerate() {
            assert_eq!(event["seq"], index + 1, "{text}");
        }
        let of = |kind: &str| {
            events
                .iter()
                .filter(|event| event["kind"] == kind)
                .map(|event| event["data"]["step"].clone())
                .collect::<Vec<_>>()
        };
        let steps = self.job(id).await["progress"]["steps"].as_u64().unwrap();
        assert_eq!(
            of("step"),
            (1..=steps).map(Value::from).collect::<Vec<_>>(),
            "{text}"
        );
        let mut checkpoints = of("checkpoint");
        checkpoints.dedup();
        assert_eq!(checkpoints.len(), of("checkpoint").len(), "{text}");
        assert_eq!(of("succeeded").len(), 1, "{text}");
        assert_eq!(events.last().unwrap()["kind"], "succeeded", "{text}");
        events
    }

    /// Edits a picture; the status of the answer and its image.
    pub async fn edit(&self, fields: Value) -> (u16, Value) {
        let mut body = json!({"image": picture(90), "instruction": "make it red", "seed": 1});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let answer = self.post("/v1/edit", &body).await.unwrap();
        let status = answer.status().as_u16();
        let answer: Value = answer.json().await.unwrap();
        (status, answer["images"][0]["b64_json"].clone())
    }
}

/// A row with a picture of its own.
pub fn item(number: u8) -> Value {
    json!({"image": picture(60 * number), "instruction": "make it red"})
}

pub fn picture(shade: u8) -> String {
    let picture = image::RgbImage::from_fn(48, 48, |x, y| {
        image::Rgb([shade, (x * 5) as u8, (y * 5) as u8])
    });
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    BASE64_STANDARD.encode(png.into_inner())
}

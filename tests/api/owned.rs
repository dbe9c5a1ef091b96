//! A server on which one key has one of everything, and others look for it.
use npedit::{
    access::{Scope, Secret, Viewer},
    engine::EditType,
    jobs::CapturedEdit,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    adapters::{adapter, written},
    finetune::{set, small},
    keys::request,
    support::{Scripted, body},
};

const ALL: [Scope; 3] = [Scope::Edit, Scope::Score, Scope::Finetune];

/// A server on which alice has one of everything.
pub struct Place {
    pub server: Scripted,
    pub alice: Secret,
    pub bob: Secret,
    pub root: Secret,
    pub dataset: String,
    pub job: String,
    pub adapter: String,
    result: String,
    captured: String,
    pub recipes: TempDir,
}

impl Place {
    pub async fn new() -> Self {
        let recipes = tempfile::tempdir().unwrap();
        let server = Scripted::stub_with(small(recipes.path())).await;
        let (alice, bob) = (
            server.key("alice", &ALL).await,
            server.key("bob", &ALL).await,
        );
        let root = server.key("root", &[Scope::Admin]).await;
        written(recipes.path(), "kept", &adapter(0.5, 2, None));
        let (registry, owner) = (&server.jobs.registry, Viewer::owner("alice"));
        let (folder, lineage) = (recipes.path().join("kept"), json!({}));
        let kept = registry.import(&owner, &folder, &lineage);
        let adapter = kept.await.unwrap().id;
        let edit = CapturedEdit {
            instruction: "make it blue".into(),
            edit_type: EditType::Color,
            object: String::new(),
            score: 0.1,
        };
        let captures = &server.jobs.captures;
        let captured = captures.keep(&owner, image::RgbImage::new(8, 8), &edit);
        let captured = captured.await.unwrap();
        let mut place = Self {
            server,
            alice,
            bob,
            root,
            dataset: String::new(),
            job: String::new(),
            adapter,
            result: String::new(),
            captured,
            recipes,
        };
        let alice = place.alice.clone();
        let made = place.post(&alice, "/v1/datasets", &set()).await;
        place.dataset = id(made, 201).await;
        let job = json!({"dataset": "mine", "recipe": "mine"});
        place.job = id(place.post(&alice, "/v1/finetune", &job).await, 201).await;
        let alias = json!({"adapter": place.adapter, "version": 0});
        let put = place.send(
            &alice,
            Method::PUT,
            "/v1/adapters/aliases/best",
            Some(&alias),
        );
        assert_eq!(put.await.status(), 200);
        let edit = request(&place.server, &Method::POST, "/v1/edit", Some(&alice));
        let edit = edit
            .header("prefer", "respond-async")
            .json(&body(json!({})));
        place.result = id(edit.send().await.unwrap(), 202).await;
        place
    }

    pub async fn send(
        &self,
        key: &Secret,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Response {
        let request = request(&self.server, &method, path, Some(key));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        request.send().await.unwrap()
    }

    pub async fn get(&self, key: &Secret, path: &str) -> Response {
        self.send(key, Method::GET, path, None).await
    }

    pub async fn post(&self, key: &Secret, path: &str, body: &Value) -> Response {
        self.send(key, Method::POST, path, Some(body)).await
    }

    /// What alice has that stands at such a path, by every name that it has.
    pub fn names(&self, path: &str) -> Vec<&str> {
        if path.starts_with("/v1/adapters/aliases") {
            return vec!["best"];
        }
        match path.split('/').nth(2).unwrap() {
            "edit" => vec![&self.result],
            "datasets" => vec![&self.dataset, "mine"],
            "captured" => vec![&self.captured],
            "finetune" => vec![&self.job],
            "adapters" => vec![&self.adapter, "best"],
            other => panic!("{other}"),
        }
    }

    /// Everything is as it was for alice, and an admin sees it too.
    pub async fn is_whole(&self) {
        for key in [&self.alice, &self.root] {
            for path in [
                format!("/v1/datasets/{}", self.dataset),
                "/v1/datasets/mine".into(),
                format!("/v1/finetune/{}", self.job),
                format!("/v1/finetune/{}/metrics", self.job),
                format!("/v1/adapters/{}", self.adapter),
                "/v1/adapters/best/weights".into(),
                "/v1/adapters/aliases/best".into(),
                format!("/v1/edit/results/{}", self.result),
            ] {
                let status = self.get(key, &path).await.status().as_u16();
                assert!([200, 202].contains(&status), "{path} {status}");
            }
            let job: Value = self
                .get(key, &format!("/v1/finetune/{}", self.job))
                .await
                .json()
                .await
                .unwrap();
            assert_eq!(job["status"], "queued");
        }
    }
}

pub async fn id(response: Response, status: u16) -> String {
    let found = response.status();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(found, status, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

//! A chat endpoint as OpenAI's, on loopback, that says what a test has it say.
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// One request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub authorization: Option<String>,
    pub body: Value,
    /// How many came before.
    pub number: usize,
}

impl Asked {
    /// The words of the question.
    pub fn text(&self) -> &str {
        let text = &self.body["messages"][0]["content"][1]["text"];
        text.as_str().unwrap()
    }

    pub fn picture(&self) -> &str {
        let url = &self.body["messages"][0]["content"][0]["image_url"]["url"];
        url.as_str().unwrap()
    }

    pub fn is_validation(&self) -> bool {
        self.text().contains("makes_sense")
    }
}

/// What is answered.
pub enum Reply {
    Says(String),
    Refuses {
        status: u16,
        retry_after: Option<&'static str>,
    },
    SaysLate(Duration, String),
}

type Script = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

pub struct FakeChat {
    /// As `captions.base_url` names it.
    pub base_url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeChat {
    pub async fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let state: (Script, _) = (Arc::new(script), asked.clone());
        let router = Router::new().route("/v1/chat/completions", post(answer));
        let router = router.with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base_url, asked }
    }

    /// A model that finds sense in everything but unicorns.
    pub async fn sensible() -> Self {
        Self::start(sensible).await
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

pub fn sensible(asked: &Asked) -> Reply {
    let said = match asked.is_validation() {
        true if asked.text().contains("unicorn") => {
            json!({"reason": "There is no unicorn.", "makes_sense": false})
        }
        true => json!({"reason": "It can be done.", "makes_sense": true}),
        false => json!({
            "source_caption": "A grey field.",
            "edited_caption": "A red field.",
            "edit_type": "material",
            "object": "field",
        }),
    };
    Reply::Says(said.to_string())
}

async fn answer(
    State((script, all)): State<(Script, Arc<Mutex<Vec<Asked>>>)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION);
    let mut asked = Asked {
        authorization: authorization.map(|value| value.to_str().unwrap().to_owned()),
        body,
        number: 0,
    };
    {
        let mut all = all.lock().unwrap();
        asked.number = all.len();
        all.push(asked.clone());
    }
    let says = |text| {
        let message = json!({"role": "assistant", "content": text});
        Json(json!({"object": "chat.completion", "choices": [{"index": 0, "message": message}]}))
    };
    match script(&asked) {
        Reply::Says(text) => says(text).into_response(),
        Reply::SaysLate(wait, text) => {
            tokio::time::sleep(wait).await;
            says(text).into_response()
        }
        Reply::Refuses {
            status,
            retry_after,
        } => {
            // as some servers do
            let told = format!("refused {:?}", asked.authorization);
            let answer = (
                StatusCode::from_u16(status).unwrap(),
                Json(json!({"error": {"message": told}})),
            );
            let mut answer = answer.into_response();
            if let Some(secs) = retry_after {
                let headers = answer.headers_mut();
                headers.insert(header::RETRY_AFTER, secs.parse().unwrap());
            }
            answer
        }
    }
}

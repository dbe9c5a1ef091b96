//! Chat completions as OpenAI, vLLM, llama.cpp and Ollama serve them.
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use reqwest::{
    Client, Response, Url,
    header::{AUTHORIZATION, HeaderValue, RETRY_AFTER},
    redirect,
};
use serde_json::{Value, json};

use super::{
    error::{CaptionError, CaptionSetupError},
    prompts::Prompt,
};
use crate::config;

const AGENT: &str = concat!("npedit/", env!("CARGO_PKG_VERSION"));
/// An answer is a few sentences.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Before the second try; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Also where a server asks for more.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Letters of a refusal that are logged.
const LOGGED_CHARS: usize = 300;

/// One model of one server.
#[derive(Debug)]
pub struct ChatModel {
    client: Client,
    url: Url,
    model: String,
    /// Marked as sensitive, so that no debug output has it.
    authorization: Option<HeaderValue>,
    timeout: Duration,
    max_retries: u32,
    /// Index of the first of [`FORMS`] that the server did not refuse.
    form: AtomicUsize,
}

/// How an answer is asked for; not every server knows every form.
#[derive(Clone, Copy, Debug)]
enum Form {
    Schema,
    Object,
    /// By the words of the question alone.
    Plain,
}

const FORMS: [Form; 3] = [Form::Schema, Form::Object, Form::Plain];

/// What came of one try.
struct Failure {
    error: CaptionError,
    retry_after: Option<Duration>,
}

impl From<CaptionError> for Failure {
    fn from(error: CaptionError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl ChatModel {
    /// # Errors
    /// See [`CaptionSetupError`].
    pub fn new(settings: &config::Captions, key: Option<&str>) -> Result<Self, CaptionSetupError> {
        let authorization = key.map(|key| {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.trim()));
            let mut value = value.map_err(|_| CaptionSetupError::Key)?;
            value.set_sensitive(true);
            match key.trim().is_empty() {
                true => Err(CaptionSetupError::Key),
                false => Ok(value),
            }
        });
        // the operator's own address: loopback is fine, and so is a proxy of the environment
        let client = Client::builder()
            .user_agent(AGENT)
            // nobody else gets the key or the picture
            .redirect(redirect::Policy::none());
        Ok(Self {
            client: client.build()?,
            url: settings.url.clone(),
            model: settings.model.clone(),
            authorization: authorization.transpose()?,
            timeout: settings.timeout,
            max_retries: settings.max_retries,
            form: AtomicUsize::new(0),
        })
    }

    pub fn name(&self) -> &str {
        &self.model
    }

    /// The model's words about a picture (a data URI).
    ///
    /// # Errors
    /// It is not to be had, now or at all.
    pub async fn ask(&self, prompt: &Prompt, picture: &str) -> Result<String, CaptionError> {
        let mut form = self.form.load(Relaxed);
        loop {
            let body = self.body(prompt, picture, FORMS[form]);
            match self.send(&body).await {
                // perhaps it is the form of the answer that is refused
                Err(CaptionError::Refused { status: 400 | 422 }) if form + 1 < FORMS.len() => {
                    form += 1;
                }
                answered => {
                    if answered.is_ok() {
                        self.form.store(form, Relaxed);
                    }
                    return answered;
                }
            }
        }
    }

    /// Neither temperature nor a number of tokens is set: servers know what suits their model, and some refuse both.
    fn body(&self, prompt: &Prompt, picture: &str, form: Form) -> Value {
        let mut body = json!({
            "model": self.model,
            "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": picture}},
                {"type": "text", "text": prompt.text},
            ]}],
        });
        match form {
            Form::Schema => {
                body["response_format"] = json!({"type": "json_schema", "json_schema": {
                    "name": prompt.name, "strict": true, "schema": prompt.schema,
                }});
            }
            Form::Object => body["response_format"] = json!({"type": "json_object"}),
            Form::Plain => {}
        }
        body
    }

    /// Tries as often as the settings say.
    async fn send(&self, body: &Value) -> Result<String, CaptionError> {
        let mut pause = FIRST_PAUSE;
        for _ in 0..self.max_retries {
            match self.send_once(body).await {
                Err(failure) if failure.error.may_pass() => {
                    let wanted = failure.retry_after.unwrap_or(pause);
                    tokio::time::sleep(wanted.min(MAX_PAUSE)).await;
                    pause *= 2;
                }
                done => return done.map_err(|failure| failure.error),
            }
        }
        let last = self.send_once(body).await;
        last.map_err(|failure| failure.error)
    }

    async fn send_once(&self, body: &Value) -> Result<String, Failure> {
        match tokio::time::timeout(self.timeout, self.exchange(body)).await {
            Ok(done) => done,
            Err(_) => {
                let secs = self.timeout.as_secs();
                Err(CaptionError::TimedOut { secs }.into())
            }
        }
    }

    async fn exchange(&self, body: &Value) -> Result<String, Failure> {
        let mut request = self.client.post(self.url.clone()).json(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let text = whole(&mut response).await?;
        if !status.is_success() {
            let told = self.without_key(&text);
            let status = status.as_u16();
            tracing::warn!(status, told, "the caption model's server refused a request");
            return Err(Failure {
                error: CaptionError::Refused { status },
                retry_after,
            });
        }
        let answer: Option<Value> = serde_json::from_str(&text).ok();
        let content = answer.as_ref().and_then(|answer| {
            let content = answer.pointer("/choices/0/message/content")?;
            content.as_str()
        });
        let content = content.ok_or_else(|| CaptionError::unreadable(&text))?;
        Ok(content.to_owned())
    }

    /// The beginning of a refusal; servers may repeat the key that they refuse.
    fn without_key(&self, text: &str) -> String {
        let key = self.authorization.as_ref().and_then(|value| {
            let value = value.to_str().ok()?;
            value.strip_prefix("Bearer ")
        });
        let text = match key {
            Some(key) => text.replace(key, "***"),
            None => text.to_owned(),
        };
        text.chars().take(LOGGED_CHARS).collect()
    }
}

fn unreachable(error: reqwest::Error) -> Failure {
    tracing::warn!(error = %error.without_url(), "the caption model could not be reached");
    CaptionError::Unreachable.into()
}

async fn whole(response: &mut Response) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER_BYTES {
            return Err(CaptionError::unreadable(&String::from_utf8_lossy(&bytes)).into());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// In seconds; a date is not read.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

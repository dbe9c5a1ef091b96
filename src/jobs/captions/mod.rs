//! What rows do not say, asked of a vision-language model: whether the instruction makes sense for the picture, then the texts
//! that are missing (the validate and caption steps of arXiv 2510.14978; clients bring the instructions).
mod answer;
mod chat;
mod error;
mod picture;
mod prompts;
mod texts;

use std::sync::Arc;

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Duration, Instant, timeout_at},
};

use self::chat::ChatModel;
pub use self::{
    error::{CaptionError, CaptionSetupError},
    texts::{Field, Texts},
};
use crate::{config, pipelines::image::ImageLimits};

/// Rows in a row that tell that the server is not to be had.
const GIVE_UP_AFTER: usize = 3;

/// A row that lacks a field.
#[derive(Clone, Debug)]
pub struct Question {
    /// File of the picture.
    pub picture: Vec<u8>,
    pub instruction: String,
    /// What the row says.
    pub known: Texts,
}

/// What the model says of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub makes_sense: bool,
    /// In the model's words.
    pub reason: String,
    /// Of a row that makes sense: what it was asked for, as far as it said; or why it said nothing.
    pub texts: Result<Texts, CaptionError>,
}

/// Asks a model about rows; a cheap handle.
#[derive(Clone, Debug)]
pub struct Captioner {
    model: Arc<ChatModel>,
    images: ImageLimits,
    room: Arc<Semaphore>,
    max_concurrent: usize,
    max_wait: Duration,
}

impl Captioner {
    /// `key` is the server's API key.
    ///
    /// # Errors
    /// See [`CaptionSetupError`].
    pub fn new(
        settings: &config::Captions,
        key: Option<&str>,
        images: ImageLimits,
    ) -> Result<Self, CaptionSetupError> {
        Ok(Self {
            model: Arc::new(ChatModel::new(settings, key)?),
            images,
            room: Arc::new(Semaphore::new(settings.max_concurrent)),
            max_concurrent: settings.max_concurrent,
            max_wait: settings.max_wait,
        })
    }

    /// Name of the model.
    pub fn model(&self) -> &str {
        self.model.name()
    }

    /// An answer to each question, in their order. A question is only made when its turn comes, as it holds a picture.
    pub async fn ask(
        &self,
        mut questions: impl ExactSizeIterator<Item = Question> + Send,
    ) -> Vec<Result<Answer, CaptionError>> {
        let mut answers = vec![None; questions.len()];
        let deadline = Instant::now() + self.max_wait;
        let mut running = JoinSet::new();
        let (mut next, mut failed) = (0, 0);
        let unasked = loop {
            while running.len() < self.max_concurrent
                && let Some(question) = questions.next()
            {
                let (index, asking) = (next, self.clone());
                running.spawn(async move { (index, asking.ask_one(question).await) });
                next += 1;
            }
            let (index, answer) = match timeout_at(deadline, running.join_next()).await {
                Ok(Some(Ok(answered))) => answered,
                // a panic is logged where it happens
                Ok(Some(Err(_))) => continue,
                Ok(None) | Err(_) => {
                    let secs = self.max_wait.as_secs();
                    break CaptionError::NoTimeLeft { secs };
                }
            };
            failed = match is_of_server(&answer) {
                true => failed + 1,
                false => 0,
            };
            answers[index] = Some(answer);
            if failed == GIVE_UP_AFTER {
                break CaptionError::GaveUp { rows: failed };
            }
        };
        let answers = answers.into_iter();
        let answers = answers.map(|answer| answer.unwrap_or_else(|| Err(unasked.clone())));
        answers.collect()
    }

    async fn ask_one(&self, question: Question) -> Result<Answer, CaptionError> {
        // it is never closed
        let _place = self.room.acquire().await;
        let Question {
            picture,
            instruction,
            known,
        } = question;
        let images = self.images.clone();
        let prepared = tokio::task::spawn_blocking(move || picture::data_uri(&picture, &images));
        let picture = prepared.await.unwrap_or(Err(CaptionError::Picture))?;
        let asked = prompts::validation(&instruction);
        let validation = answer::validation(&self.model.ask(&asked, &picture).await?)?;
        let texts = match validation.makes_sense {
            false => Ok(Texts::default()),
            true => {
                let asked = prompts::description(&instruction, &known);
                let said = self.model.ask(&asked, &picture).await;
                said.and_then(|said| answer::description(&said))
            }
        };
        Ok(Answer {
            makes_sense: validation.makes_sense,
            reason: validation.reason,
            texts,
        })
    }
}

fn is_of_server(answer: &Result<Answer, CaptionError>) -> bool {
    let error = match answer {
        Ok(answer) => answer.texts.as_ref().err(),
        Err(error) => Some(error),
    };
    error.is_some_and(CaptionError::is_of_server)
}

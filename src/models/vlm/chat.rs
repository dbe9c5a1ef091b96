//! A question with its pictures, as the model's chat template writes it.
use minijinja::{Value, context};
use serde::Deserialize;
use tokenizers::Tokenizer;

use crate::models::{
    chat_template::ChatTemplate,
    error::{LoadError, LoadResult},
    folder::Folder,
};

/// Qwen2's template for text content, for models that bring none.
const QWEN2: &str = "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

/// A question that cannot be put to the model.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    #[error(
        "the text contains {token:?}, which the judge reads as a control token; write it differently"
    )]
    ControlToken { token: String },
    #[error("the judge's chat template fails on this text: {0}; choose another text")]
    Template(#[from] minijinja::Error),
    #[error("the judge's tokenizer cannot represent this text: {reason}; choose another text")]
    Tokenize { reason: String },
    #[error(
        "the question is {tokens} tokens with its pictures, the judge reads at most {limit}; shorten it"
    )]
    TooLong { tokens: usize, limit: usize },
}

/// How a family shows pictures beside text.
#[derive(Clone, Debug)]
pub(super) enum Style {
    /// `Image-1: <img>..</img>` lines before the question, inside a text message; one picture stands without number
    /// (InternVL, as the NP-Edit reference prompts it).
    Numbered,
    /// Parts of a message, images first; the template places them.
    Parts,
}

/// One question, tokenized, with one placeholder token for each picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub text: String,
    pub ids: Vec<u32>,
}

/// Chat template and tokenizer of a judge.
#[derive(Clone, Debug)]
pub struct Chat {
    template: ChatTemplate,
    tokenizer: Tokenizer,
    style: Style,
    image_token: String,
    /// Before and after a picture's tokens, where the style writes them.
    image_marks: [String; 2],
}

#[derive(Deserialize)]
struct Marks {
    #[serde(default = "start")]
    start_image_token: String,
    #[serde(default = "end")]
    end_image_token: String,
}

fn start() -> String {
    "<img>".into()
}

fn end() -> String {
    "</img>".into()
}

impl Chat {
    pub(super) fn load(folder: &Folder, style: Style, image_token: u32) -> LoadResult<Self> {
        let tokenizer = folder.tokenizer()?;
        let Some(image_token) = tokenizer.id_to_token(image_token) else {
            return Err(LoadError::Config {
                file: folder.name("config.json"),
                key: "image_token_id",
                value: image_token.to_string(),
                expected: "a token of the tokenizer".into(),
            });
        };
        let marks: Marks = folder.json("tokenizer_config.json")?;
        let chat = Self {
            template: ChatTemplate::load(folder, QWEN2)?,
            tokenizer,
            style,
            image_token,
            image_marks: [marks.start_image_token, marks.end_image_token],
        };
        chat.template.check(chat.message("", 2))?;
        Ok(chat)
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// `question` about `images` pictures, up to where the answer starts.
    ///
    /// # Errors
    /// The text holds a control token, or template or tokenizer fail on it.
    pub fn prompt(&self, question: &str, images: usize) -> Result<Prompt, PromptError> {
        let added = self.tokenizer.get_added_tokens_decoder();
        // a small vocabulary adds plain words, which any text may hold
        let control = added
            .into_values()
            .filter(|token| token.special || !token.content.chars().all(char::is_alphabetic));
        let mut control = control.map(|token| token.content);
        if let Some(token) = control.find(|token| question.contains(token.as_str())) {
            return Err(PromptError::ControlToken { token });
        }
        let text = self.template.render(self.message(question, images))?;
        let encoding = self.tokenizer.encode(text.as_str(), true);
        let encoding = encoding.map_err(|error| PromptError::Tokenize {
            reason: error.to_string(),
        })?;
        Ok(Prompt {
            ids: encoding.get_ids().to_vec(),
            text,
        })
    }

    fn message(&self, question: &str, images: usize) -> Value {
        let content = match self.style {
            Style::Numbered => Value::from(self.numbered(question, images)),
            Style::Parts => {
                let pictures = (0..images).map(|_| context! { type => "image" });
                let text = context! { type => "text", text => question };
                pictures.chain([text]).collect()
            }
        };
        context! {
            messages => [context! { role => "user", content => content }],
            add_generation_prompt => true,
        }
    }

    fn numbered(&self, question: &str, images: usize) -> String {
        let [start, end] = &self.image_marks;
        let lines = (1..=images).map(|number| {
            let label = match images {
                1 => String::new(),
                _ => format!("Image-{number}: "),
            };
            format!("{label}{start}{}{end}\n", self.image_token)
        });
        lines.chain([question.to_owned()]).collect()
    }
}

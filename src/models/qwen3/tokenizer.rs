//! Instructions to token ids: chat template, then the bundle's tokenizer.
use std::borrow::Cow;

use minijinja::{Environment, ErrorKind, context, syntax::SyntaxConfig};
use serde::Deserialize;
use tokenizers::Tokenizer;

use super::config::MAX_TOKENS;
use crate::models::{
    error::{LoadError, LoadResult},
    files::Files,
};

const TOKENIZER: &str = "tokenizer/tokenizer.json";
const SETTINGS: &str = "tokenizer/tokenizer_config.json";
const TEMPLATE: &str = "tokenizer/chat_template.jinja";

/// Qwen3's template for one user turn, for tokenizers that bring none.
const QWEN3: &str = "{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}";

/// How the assistant's turn starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Nothing: diffusers' text-to-image pipeline.
    Enabled,
    /// An empty think block: editor, teacher and fake score.
    EmptyBlock,
}

#[derive(Default, Deserialize)]
struct Settings {
    #[serde(default)]
    chat_template: Option<String>,
}

/// One tokenized text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIds {
    pub ids: Vec<u32>,
    /// Tokens that were cut off at the end.
    pub truncated: usize,
}

/// A text that cannot be tokenized.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error(
        "the bundle's chat template fails on this text: {0}; choose another text or another bundle"
    )]
    Template(#[from] minijinja::Error),
    #[error(
        "the bundle's tokenizer cannot represent this text: {reason}; choose another text or another bundle"
    )]
    Tokenize { reason: String },
}

/// Chat template and tokenizer of a bundle.
#[derive(Clone, Debug)]
pub struct ChatTokenizer {
    tokenizer: Tokenizer,
    templates: Environment<'static>,
}

impl ChatTokenizer {
    /// Reads `tokenizer/`; the template is `chat_template.jinja`, the one in `tokenizer_config.json`, or Qwen3's.
    ///
    /// # Errors
    /// The tokenizer is missing or malformed, or its template does not render.
    pub fn load(files: &Files) -> LoadResult<Self> {
        let invalid = |reason: String| LoadError::Tokenizer {
            file: TOKENIZER.into(),
            reason,
        };
        let mut tokenizer = Tokenizer::from_bytes(files.read(TOKENIZER)?)
            .map_err(|error| invalid(error.to_string()))?;
        // truncation and padding are this module's matter, whatever the file says
        tokenizer
            .with_truncation(None)
            .map_err(|error| invalid(error.to_string()))?;
        tokenizer.with_padding(None);
        let (file, source) = template_source(files)?;
        let loaded = Self {
            tokenizer,
            templates: environment(source).map_err(|source| LoadError::Template {
                file: file.into(),
                source,
            })?,
        };
        loaded
            .render("", Thinking::EmptyBlock)
            .map_err(|source| LoadError::Template {
                file: file.into(),
                source,
            })?;
        Ok(loaded)
    }

    /// The text of one user turn with the start of the answer.
    ///
    /// # Errors
    /// The template fails on this text.
    pub fn template(&self, text: &str, thinking: Thinking) -> Result<String, TokenizerError> {
        Ok(self.render(text, thinking)?)
    }

    /// Ids of a templated text, at most 512: a longer one loses its end.
    ///
    /// # Errors
    /// The tokenizer cannot represent the text.
    pub fn encode(&self, templated: &str) -> Result<TokenIds, TokenizerError> {
        let encoding = self.tokenizer.encode(templated, true);
        let encoding = encoding.map_err(|error| TokenizerError::Tokenize {
            reason: error.to_string(),
        })?;
        let mut ids = encoding.get_ids().to_vec();
        let truncated = ids.len().saturating_sub(MAX_TOKENS);
        ids.truncate(MAX_TOKENS);
        Ok(TokenIds { ids, truncated })
    }

    fn render(&self, text: &str, thinking: Thinking) -> Result<String, minijinja::Error> {
        self.templates.get_template(TEMPLATE)?.render(context! {
            messages => [context! { role => "user", content => text }],
            add_generation_prompt => true,
            enable_thinking => thinking == Thinking::Enabled,
        })
    }
}

fn template_source(files: &Files) -> LoadResult<(&'static str, Cow<'static, str>)> {
    if files.exists(TEMPLATE) {
        let bytes = files.read(TEMPLATE)?.into_owned();
        let source = String::from_utf8(bytes).map_err(|error| LoadError::Tokenizer {
            file: TEMPLATE.into(),
            reason: error.to_string(),
        })?;
        return Ok((TEMPLATE, source.into()));
    }
    if files.exists(SETTINGS) {
        let settings: Settings =
            serde_json::from_slice(&files.read(SETTINGS)?).map_err(|source| LoadError::Json {
                file: SETTINGS.into(),
                source,
            })?;
        if let Some(source) = settings.chat_template {
            return Ok((SETTINGS, source.into()));
        }
    }
    Ok(("the built-in template", QWEN3.into()))
}

/// Jinja as transformers sets it up.
fn environment(source: Cow<'static, str>) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    environment.set_syntax(syntax);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    environment.add_template_owned(TEMPLATE, source)?;
    Ok(environment)
}

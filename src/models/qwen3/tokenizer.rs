//! Instructions to token ids: chat template, then the bundle's tokenizer.
use minijinja::{Value, context};
use tokenizers::Tokenizer;

use super::config::MAX_TOKENS;
use crate::models::{chat_template::ChatTemplate, error::LoadResult, files::Files, folder::Folder};

const DIRECTORY: &str = "tokenizer";

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
    template: ChatTemplate,
}

impl ChatTokenizer {
    /// Reads `tokenizer/`; a folder without a template gets Qwen3's.
    ///
    /// # Errors
    /// The tokenizer is missing or malformed, or its template does not render.
    pub fn load(files: &Files) -> LoadResult<Self> {
        let folder = Folder::below(files.clone(), DIRECTORY);
        let loaded = Self {
            tokenizer: folder.tokenizer()?,
            template: ChatTemplate::load(&folder, QWEN3)?,
        };
        loaded.template.check(turn("", Thinking::EmptyBlock))?;
        Ok(loaded)
    }

    /// The text of one user turn with the start of the answer.
    ///
    /// # Errors
    /// The template fails on this text.
    pub fn template(&self, text: &str, thinking: Thinking) -> Result<String, TokenizerError> {
        Ok(self.template.render(turn(text, thinking))?)
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
}

fn turn(text: &str, thinking: Thinking) -> Value {
    context! {
        messages => [context! { role => "user", content => text }],
        add_generation_prompt => true,
        enable_thinking => thinking == Thinking::Enabled,
    }
}

//! The Qwen3 text encoder, its tokenizer and chat template.
mod config;
mod encoder;
mod language;
mod tokenizer;

pub use config::Config;
pub(in crate::models) use config::MAX_TOKENS;
pub use encoder::TextEncoder;
pub use language::LanguageModel;
pub use tokenizer::{ChatTokenizer, Thinking, TokenIds, TokenizerError};

#[cfg(test)]
mod tests;

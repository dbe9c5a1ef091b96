//! Instruction or caption -> encoded text tokens.
use candle_core::Tensor;

use crate::models::qwen3::{ChatTokenizer, TextEncoder, Thinking};

/// Tokenizer and frozen text encoder of a bundle.
pub struct InstructionEncoder {
    pub tokenizer: ChatTokenizer,
    pub encoder: TextEncoder,
}

/// One encoded text.
#[derive(Debug, Clone)]
pub struct TextTokens {
    /// Second-to-last hidden layer, `[1, L, D]`.
    pub features: Tensor,
    /// Tokens cut off at the end, because the encoder reads no more.
    pub dropped: usize,
}

impl InstructionEncoder {
    /// Templates, tokenizes and encodes one text.
    pub fn encode(&self, text: &str, thinking: Thinking) -> Result<TextTokens, TextError> {
        let tokens = self
            .tokenizer
            .encode(&self.tokenizer.template(text, thinking)?)?;
        Ok(TextTokens {
            features: self.encoder.encode(&tokens.ids)?,
            dropped: tokens.truncated,
        })
    }
}

/// A text that cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error(transparent)]
    Tokenizer(#[from] crate::models::qwen3::TokenizerError),
    #[error("encoding the text failed: {0}")]
    Encoder(#[from] candle_core::Error),
}

//! Instruction or caption -> encoded text tokens.
use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::models::qwen3::{ChatTokenizer, TextEncoder, Thinking, TokenIds};

/// Tokens of several texts that are encoded together at most.
const MAX_TOKENS: usize = 4096;

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

impl InstructionEncoder {
    /// As [`Self::encode`], of several texts, in order; those of one length run together.
    ///
    /// # Errors
    /// See [`TextError`].
    pub fn encode_all(
        &self,
        texts: &[&str],
        thinking: Thinking,
    ) -> Result<Vec<TextTokens>, TextError> {
        let mut of_length: BTreeMap<usize, Vec<(usize, TokenIds)>> = BTreeMap::new();
        for (at, text) in texts.iter().enumerate() {
            let tokens = self
                .tokenizer
                .encode(&self.tokenizer.template(text, thinking)?)?;
            let alike = of_length.entry(tokens.ids.len()).or_default();
            alike.push((at, tokens));
        }
        let mut encoded = Vec::with_capacity(texts.len());
        for (length, alike) in of_length {
            for some in alike.chunks((MAX_TOKENS / length.max(1)).max(1)) {
                let ids: Vec<&[u32]> = some.iter().map(|(_, tokens)| &*tokens.ids).collect();
                let features = self.encoder.encode_together(&ids)?;
                for (row, (at, tokens)) in some.iter().enumerate() {
                    let own = TextTokens {
                        // its own memory: the others' is not kept for it
                        features: features.narrow(0, row, 1)?.force_contiguous()?,
                        dropped: tokens.truncated,
                    };
                    encoded.push((*at, own));
                }
            }
        }
        encoded.sort_by_key(|(at, _)| *at);
        Ok(encoded.into_iter().map(|(_, own)| own).collect())
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

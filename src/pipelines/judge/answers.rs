//! Yes and No as tokens.
use std::collections::BTreeSet;

use candle_core::{D, Result, Tensor};
use serde::Deserialize;
use tokenizers::Tokenizer;

use crate::models::{
    decoder::Decoder,
    error::{LoadError, LoadResult},
    folder::Folder,
};

/// Which spellings of the answers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// `Yes` and `No`, as the NP-Edit reference.
    #[default]
    Exact,
    /// Every spelling that is a single token of the tokenizer, together.
    Pooled,
}

/// Spellings that are pooled, the reference's first.
const YES: [&str; 6] = ["Yes", "yes", "YES", " Yes", " yes", " YES"];
const NO: [&str; 6] = ["No", "no", "NO", " No", " no", " NO"];

/// Ids of the two answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AnswerTokens {
    yes: Vec<u32>,
    no: Vec<u32>,
}

/// Logits of the two answers of each question.
#[derive(Clone, Debug)]
pub struct AnswerLogits {
    /// `[Q]`
    pub yes: Tensor,
    /// `[Q]`
    pub no: Tensor,
}

impl AnswerTokens {
    /// # Errors
    /// `Yes` or `No` is not a single token.
    pub(super) fn find(
        tokenizer: &Tokenizer,
        spelling: Spelling,
        folder: &Folder,
    ) -> LoadResult<Self> {
        let ids = |words: [&'static str; 6]| {
            let single = |word: &str| match tokenizer.encode(word, false).ok()?.get_ids() {
                [id] => Some(*id),
                _ => None,
            };
            let exact = single(words[0]).ok_or_else(|| LoadError::AnswerToken {
                folder: folder.to_string(),
                word: words[0],
            })?;
            Ok(match spelling {
                Spelling::Exact => vec![exact],
                // spellings that are one token to the tokenizer count once
                Spelling::Pooled => words
                    .into_iter()
                    .filter_map(single)
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
            })
        };
        Ok(Self {
            yes: ids(YES)?,
            no: ids(NO)?,
        })
    }

    /// `states` `[B, D]`
    pub(super) fn logits(&self, decoder: &Decoder, states: &Tensor) -> Result<AnswerLogits> {
        let logits = decoder.logits_of(states, &[self.yes.as_slice(), &self.no].concat())?;
        let pooled = |first, count| {
            let some = logits.narrow(D::Minus1, first, count)?;
            match count {
                1 => some.squeeze(D::Minus1),
                _ => some.log_sum_exp(D::Minus1),
            }
        };
        Ok(AnswerLogits {
            yes: pooled(0, self.yes.len())?,
            no: pooled(self.yes.len(), self.no.len())?,
        })
    }
}

impl AnswerLogits {
    /// `yes - no`, of which the sigmoid is the probability of Yes. `[Q]`
    ///
    /// # Errors
    /// The device refuses.
    pub fn margin(&self) -> Result<Tensor> {
        &self.yes - &self.no
    }
}

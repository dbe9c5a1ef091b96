//! Several texts with a common start, in one row of tokens.
use std::ops::Range;

use candle_core::{Result, Tensor, bail};

use crate::nn::{KeyMask, attention, attention_in_branches};

/// Where the texts lie: what all of them start with, then the rest of each, one after the other.
///
/// Two questions about one pair of pictures differ in their last lines: their pictures are read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branches {
    /// Tokens of the common start; 0 where there is none.
    shared: usize,
    /// End of each text's own tokens.
    ends: Vec<usize>,
}

impl Branches {
    /// One text.
    pub fn one(tokens: usize) -> Self {
        Self {
            shared: 0,
            ends: vec![tokens],
        }
    }

    /// `own` tokens of each text after the `shared` ones.
    pub fn new(shared: usize, own: &[usize]) -> Self {
        let ends = own.iter().scan(shared, |end, own| {
            *end += own;
            Some(*end)
        });
        Self {
            shared,
            ends: ends.collect(),
        }
    }

    /// Index of each text's last token.
    pub fn last(&self) -> Vec<usize> {
        self.ends.iter().map(|end| end - 1).collect()
    }

    fn own(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = [self.shared].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| start..*end)
    }

    /// Causal attention inside each text. `q`, `k`, `v` `[B, N, H, D]` of all tokens.
    pub(super) fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        if self.ends.last() != Some(&q.dim(1)?) {
            bail!("texts that end at {:?} in {} tokens", self.ends, q.dim(1)?)
        }
        attention_in_branches([q, k, v], self.shared, &self.ends)
    }

    /// As [`Self::attend`] for the queries `q` `[1, texts, H, D]` of the last tokens alone.
    pub(super) fn attend_last(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let mut attended = Vec::new();
        for (text, own) in self.own().enumerate() {
            let query = q.narrow(1, text, 1)?;
            let (k, v) = (self.text(k, &own)?, self.text(v, &own)?);
            attended.push(attention(&query, &k, &v, &KeyMask::All)?);
        }
        Tensor::cat(&attended, 1)
    }

    /// The tokens of one whole text.
    fn text(&self, x: &Tensor, own: &Range<usize>) -> Result<Tensor> {
        let own = x.narrow(1, own.start, own.len())?;
        if self.shared == 0 {
            return Ok(own);
        }
        Tensor::cat(&[&x.narrow(1, 0, self.shared)?, &own], 1)
    }
}

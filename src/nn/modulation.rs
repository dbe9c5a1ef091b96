//! Values that tokens share: the scales and gates of an adaptively normalised block (AdaLN, arXiv 2212.09748).
use candle_core::{Result, Tensor};

/// A vector for each token, the same over each run of consecutive tokens.
#[derive(Debug, Clone)]
pub struct PerToken {
    runs: Vec<(Tensor, usize)>,
}

impl PerToken {
    /// Runs in order: a vector `[B, D]` and the number of tokens that have it.
    pub fn new(runs: Vec<(Tensor, usize)>) -> Self {
        Self { runs }
    }

    /// `[B, S, D]`
    pub fn expand(&self) -> Result<Tensor> {
        let runs = self.runs.iter().map(|(value, tokens)| {
            let (batch, width) = value.dims2()?;
            value.unsqueeze(1)?.broadcast_as((batch, *tokens, width))
        });
        Tensor::cat(&runs.collect::<Result<Vec<_>>>()?, 1)
    }

    pub(super) fn tracked(&self) -> bool {
        self.runs.iter().any(|(value, _)| value.track_op())
    }

    /// The vectors `[B, runs, D]`.
    pub(super) fn values(&self) -> Result<Tensor> {
        let values: Vec<&Tensor> = self.runs.iter().map(|(value, _)| value).collect();
        Tensor::stack(&values, 1)
    }

    /// Where each run ends, in tokens.
    pub(super) fn ends(&self) -> Vec<usize> {
        let lengths = self.runs.iter().map(|(_, tokens)| *tokens);
        lengths
            .scan(0, |end, tokens| {
                *end += tokens;
                Some(*end)
            })
            .collect()
    }
}

/// `x * (1 + scale)`; `x` `[B, S, D]`, `scale` the same or broadcastable (`[B, 1, D]`).
pub fn modulate(x: &Tensor, scale: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(&(scale + 1.0)?)
}

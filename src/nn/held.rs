//! Who else reads a tensor's memory.
use candle_core::Tensor;

/// A tensor that is handed over.
#[derive(Debug)]
pub enum Held {
    /// Nothing else reads its memory: no clone, view or detached copy of it is in use. An answer may take its place.
    Alone(Tensor),
    /// Something else may.
    Shared(Tensor),
}

impl Held {
    pub fn tensor(&self) -> &Tensor {
        match self {
            Self::Alone(x) | Self::Shared(x) => x,
        }
    }
}

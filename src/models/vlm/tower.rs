//! What a vision-language model's eye does, whichever it is.
use std::fmt::Debug;

use candle_core::{Result, Tensor, bail};

use super::pixels::{Picture, PixelValues, Shown};
use crate::{models::decoder::Position, nn::Activations};

/// One picture as the decoder reads it.
#[derive(Clone, Debug)]
pub struct ImageTokens {
    /// `[n, D]`
    pub features: Tensor,
    /// Added to the same tokens after the decoder's first layers, `[n, D]` each (Qwen3-VL's deepstack).
    pub additions: Vec<Tensor>,
    /// Of each token, counted from the picture's first.
    pub positions: Vec<Position>,
    /// How far the text after the picture is moved.
    pub extent: u32,
}

impl ImageTokens {
    /// Tokens that count on like text.
    pub(super) fn sequential(features: Tensor) -> Result<Self> {
        let count = features.dim(0)? as u32;
        Ok(Self {
            features,
            additions: Vec::new(),
            positions: (0..count).map(|at| [at; 3]).collect(),
            extent: count,
        })
    }
}

/// A vision tower with its projector and the pre-processing that it was trained with.
pub(super) trait VisionTower: Debug + Send + Sync {
    /// How a picture is shown in a question about `images` of them: where the answers are equal, questions share a pass.
    fn shown(&self, images: usize) -> Shown;

    /// Sides of a picture below this hold no whole patch, in pixels.
    fn patch(&self) -> usize;

    /// How many times longer than wide, or wider than long, a picture may be; no limit where the family has none.
    fn max_aspect(&self) -> Option<usize> {
        None
    }

    /// Pre-processing, differentiable where the picture's rounding is exact.
    fn pixel_values(&self, picture: &Picture, shown: Shown) -> Result<PixelValues>;

    /// Whether [`Self::look_at_all`] can.
    fn looks_at_several(&self) -> bool {
        false
    }

    /// Pre-processing, tower and projector of several pictures of one size at once, differentiable; of families whose picture
    /// is a row of tokens that count on like text. `[P, 3, H, W]` in `[0, 1]` to `[P, n, D]`
    fn look_at_all(&self, _pixels: &Tensor) -> Result<Tensor> {
        bail!("judges of this family look at one picture after the other")
    }

    /// Tower and projector; the tower's blocks are the segments of `activations`.
    fn encode(&self, pixels: &PixelValues, activations: &Activations) -> Result<ImageTokens>;
}

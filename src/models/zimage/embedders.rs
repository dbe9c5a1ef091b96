//! Patches and captions to tokens.
use candle_core::{Result, Tensor};

use super::{TOKEN_MULTIPLE, captions::Captions, config::Config, patches::patchify};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{Linear, RmsNorm},
};

/// Latents to tokens, padded with a learned token.
#[derive(Clone, Debug)]
pub(super) struct ImageEmbedder {
    linear: Linear,
    pad: Tensor,
    patch: usize,
}

impl ImageEmbedder {
    pub(super) fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let name = format!("all_x_embedder.{}", config.patch_key());
        Ok(Self {
            linear: scope.linear(&name, config.patch_features(), config.dim)?,
            pad: scope.tensor("x_pad_token", &[1, config.dim])?,
            patch: config.patch(),
        })
    }

    /// Frames `[B, C, h, w]` to `[B, S, D]`; the frames are padded once, together.
    pub(super) fn forward(&self, frames: &[&Tensor]) -> Result<Tensor> {
        let patches = frames.iter().map(|frame| patchify(frame, self.patch));
        let patches =
            Tensor::cat(&patches.collect::<Result<Vec<_>>>()?, 1)?.to_dtype(self.pad.dtype())?;
        let tokens = self.linear.forward(&patches)?;
        let (batch, length, dim) = tokens.dims3()?;
        let pads = length.next_multiple_of(TOKEN_MULTIPLE) - length;
        if pads == 0 {
            return Ok(tokens);
        }
        let pad = self.pad.unsqueeze(0)?.broadcast_as((batch, pads, dim))?;
        Tensor::cat(&[&tokens, &pad], 1)
    }
}

/// Text features to tokens; every row beyond an item's length becomes the learned pad token.
#[derive(Clone, Debug)]
pub(super) struct CaptionEmbedder {
    norm: RmsNorm,
    linear: Linear,
    pad: Tensor,
}

impl CaptionEmbedder {
    pub(super) fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        Ok(Self {
            norm: scope.rms_norm("cap_embedder.0", config.cap_feat_dim, config.norm_eps)?,
            linear: scope.linear("cap_embedder.1", config.cap_feat_dim, config.dim)?,
            pad: scope.tensor("cap_pad_token", &[1, config.dim])?,
        })
    }

    /// `[B, Lp, D]`
    pub(super) fn forward(&self, captions: &Captions) -> Result<Tensor> {
        let features = captions.features.to_dtype(self.pad.dtype())?;
        let tokens = self.linear.forward(&self.norm.forward(&features)?)?;
        let (batch, padded, _) = tokens.dims3()?;
        if captions.lengths.iter().all(|length| *length == padded) {
            return Ok(tokens);
        }
        // all rows at once: item by item is a chain of small operations each
        let part = |of_text: bool| {
            let rows = captions
                .lengths
                .iter()
                .flat_map(|length| (0..padded).map(move |at| f32::from((at < *length) == of_text)));
            let rows = Tensor::from_iter(rows, tokens.device())?.to_dtype(tokens.dtype())?;
            rows.reshape((batch, padded, 1))
        };
        let pads = self.pad.unsqueeze(0)?.broadcast_mul(&part(false)?)?;
        tokens.broadcast_mul(&part(true)?)? + pads
    }
}

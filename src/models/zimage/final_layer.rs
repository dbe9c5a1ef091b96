//! Tokens back to patches.
use candle_core::{Result, Tensor};

use super::{config::Config, times::Times};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{LayerNorm, Linear, modulate, silu},
};

const EPS: f64 = 1e-6;

/// Layer norm without weights, scaled by the time, then a linear map (diffusers `FinalLayer`).
#[derive(Clone, Debug)]
pub(super) struct FinalLayer {
    norm: LayerNorm,
    modulation: Linear,
    linear: Linear,
}

impl FinalLayer {
    pub(super) fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let scope = scope.at(format!("all_final_layer.{}", config.patch_key()));
        Ok(Self {
            norm: LayerNorm::new(None, None, EPS),
            modulation: scope.linear("adaLN_modulation.1", config.time_width(), config.dim)?,
            linear: scope.linear("linear", config.dim, config.patch_features())?,
        })
    }

    /// `[B, S, D]` to `[B, S, patch features]`; all tokens of `x` are noisy.
    pub(super) fn forward(&self, x: &Tensor, times: &Times) -> Result<Tensor> {
        let scale = self
            .modulation
            .forward(&silu(&times.noisy)?)?
            .unsqueeze(1)?;
        self.linear
            .forward(&modulate(&self.norm.forward(x)?, &scale)?)
    }
}

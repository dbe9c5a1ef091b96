//! Latents to pixels.
use candle_core::{Result, Tensor};

use super::{
    blocks::{MidBlock, ResidualBlock, conv3x3},
    config::Config,
};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{Conv2d, GroupNorm},
};

/// Residual blocks of one level, then twice the size (not at the finest level).
#[derive(Clone, Debug)]
struct Level {
    blocks: Vec<ResidualBlock>,
    up: Option<Conv2d>,
}

/// Diffusers' `Decoder`.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    conv_in: Conv2d,
    mid: MidBlock,
    levels: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    pub(super) fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let widths: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let finest = widths.len() - 1;
        let mut levels = Vec::with_capacity(widths.len());
        for (level, width) in widths.iter().enumerate() {
            let scope = scope.at("up_blocks").at(level);
            let before = widths[level.saturating_sub(1)];
            let blocks = (0..=config.layers_per_block).map(|i| {
                let inputs = if i == 0 { before } else { *width };
                ResidualBlock::load(config, &scope.at("resnets").at(i), [inputs, *width])
            });
            let blocks = blocks.collect::<LoadResult<_>>()?;
            let up = if level == finest {
                None
            } else {
                Some(conv3x3(&scope, "upsamplers.0.conv", [*width, *width])?)
            };
            levels.push(Level { blocks, up });
        }
        Ok(Self {
            conv_in: conv3x3(scope, "conv_in", [config.latent_channels, widths[0]])?,
            mid: MidBlock::load(config, &scope.at("mid_block"), widths[0])?,
            levels,
            norm_out: scope.group_norm("conv_norm_out", widths[finest], config.norm_num_groups)?,
            conv_out: conv3x3(scope, "conv_out", [widths[finest], config.out_channels])?,
        })
    }

    /// `[B, C, h, w]` to `[B, 3, H, W]`.
    pub(super) fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        let mut x = self.mid.forward(self.conv_in.forward(latents)?)?;
        for level in &self.levels {
            for block in &level.blocks {
                x = block.forward(x)?;
            }
            if let Some(up) = &level.up {
                x = up.forward_enlarged(&x)?;
            }
        }
        self.conv_out.forward_normal(&x, &self.norm_out)
    }
}

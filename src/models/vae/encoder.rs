//! Pixels to latent moments.
use candle_core::{Result, Tensor};

use super::{
    blocks::{MidBlock, ResidualBlock, conv3x3},
    config::Config,
};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{Conv2d, GroupNorm, Held, Padding},
};

/// Residual blocks of one level, then half the size (not at the coarsest level).
#[derive(Clone, Debug)]
struct Level {
    blocks: Vec<ResidualBlock>,
    down: Option<Conv2d>,
}

/// Diffusers' `Encoder`.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    conv_in: Conv2d,
    levels: Vec<Level>,
    mid: MidBlock,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    pub(super) fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let widths = &config.block_out_channels;
        let coarsest = widths.len() - 1;
        let mut levels = Vec::with_capacity(widths.len());
        for (level, width) in widths.iter().enumerate() {
            let scope = scope.at("down_blocks").at(level);
            let before = widths[level.saturating_sub(1)];
            let blocks = (0..config.layers_per_block).map(|i| {
                let inputs = if i == 0 { before } else { *width };
                ResidualBlock::load(config, &scope.at("resnets").at(i), [inputs, *width])
            });
            let blocks = blocks.collect::<LoadResult<_>>()?;
            let down = if level == coarsest {
                None
            } else {
                // one row and column of zeros after the image, none before
                let after = Padding {
                    top: 0,
                    bottom: 1,
                    left: 0,
                    right: 1,
                };
                Some(scope.conv2d("downsamplers.0.conv", [*width, *width, 3], (2, after))?)
            };
            levels.push(Level { blocks, down });
        }
        let deepest = widths[coarsest];
        Ok(Self {
            conv_in: conv3x3(scope, "conv_in", [config.in_channels, widths[0]])?,
            levels,
            mid: MidBlock::load(config, &scope.at("mid_block"), deepest)?,
            norm_out: scope.group_norm("conv_norm_out", deepest, config.norm_num_groups)?,
            conv_out: conv3x3(scope, "conv_out", [deepest, 2 * config.latent_channels])?,
        })
    }

    /// `[B, 3, H, W]` to mean and log variance `[B, 2 C, h, w]`.
    pub(super) fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let mut x = self.conv_in.forward(pixels)?;
        for level in &self.levels {
            for block in &level.blocks {
                x = block.forward(Held::Alone(x))?;
            }
            if let Some(down) = &level.down {
                x = down.forward(&x)?;
            }
        }
        let x = self.mid.forward(Held::Alone(x))?;
        self.conv_out.forward_normal(&x, &self.norm_out)
    }
}

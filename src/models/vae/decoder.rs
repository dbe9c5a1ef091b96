//! Latents to pixels.
use candle_core::{Result, Tensor};

use super::{
    blocks::{MidBlock, ResidualBlock, conv3x3},
    config::Config,
};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{Activations, Conv2d, GroupNorm, Held},
};

/// Residual blocks of one level, then twice the size (not at the finest level).
#[derive(Clone, Debug)]
struct Level {
    blocks: Vec<ResidualBlock>,
    up: Option<Conv2d>,
}

/// What is computed again at once, where activations are.
#[derive(Clone, Debug)]
enum Part {
    Mid(Box<MidBlock>),
    Residual(ResidualBlock),
    Up(Conv2d),
    Out(GroupNorm, Conv2d),
}

impl Part {
    /// Takes its input, to let go of it as soon as it is not needed.
    fn forward(&self, x: Held) -> Result<Tensor> {
        match self {
            Self::Mid(mid) => mid.forward(x),
            Self::Residual(block) => block.forward(x),
            Self::Up(conv) => conv.forward_enlarged(x.tensor()),
            Self::Out(norm, conv) => conv.forward_normal(x.tensor(), norm),
        }
    }

    /// With a gradient to come.
    fn tracked(self, x: &Tensor, activations: &Activations) -> Result<Tensor> {
        match &self {
            Self::Residual(block) if block.is_stretch(x) => {
                return activations.stretch(x, block.clone());
            }
            // their backward reads nothing that would have to be computed again
            Self::Up(conv) if conv.is_fused(x) => return self.forward(Held::Shared(x.clone())),
            Self::Out(norm, conv) if conv.is_fused(x) && !norm.tracked() => {
                return self.forward(Held::Shared(x.clone()));
            }
            _ => {}
        }
        activations.segment([x], move |[x]| self.forward(Held::Shared(x.clone())))
    }
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
    pub(super) fn forward(&self, latents: &Tensor, activations: &Activations) -> Result<Tensor> {
        let mut x = self.conv_in.forward(latents)?;
        for part in self.parts() {
            x = match x.track_op() {
                false => part.forward(Held::Alone(x))?,
                true => part.tracked(&x, activations)?,
            };
        }
        Ok(x)
    }

    /// Everything after the first convolution, in order.
    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Mid(Box::new(self.mid.clone()))];
        for level in &self.levels {
            parts.extend(level.blocks.iter().cloned().map(Part::Residual));
            parts.extend(level.up.iter().cloned().map(Part::Up));
        }
        parts.push(Part::Out(self.norm_out.clone(), self.conv_out.clone()));
        parts
    }
}

//! Residual and attention blocks of encoder and decoder.
use candle_core::{Result, Tensor};

use super::config::Config;
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{
        Activations, Conv2d, GroupNorm, Held, KeyMask, Linear, Padding, Stretch, add_to, attention,
    },
};

/// A 3 x 3 convolution that keeps the size.
pub(super) fn conv3x3(
    scope: &Scope,
    name: &str,
    [inputs, outputs]: [usize; 2],
) -> LoadResult<Conv2d> {
    scope.conv2d(name, [outputs, inputs, 3], (1, Padding::symmetric(1)))
}

/// `x + conv(silu(norm(conv(silu(norm(x))))))`, with a 1 x 1 convolution of x where the width changes.
#[derive(Clone, Debug)]
pub(super) struct ResidualBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl ResidualBlock {
    pub(super) fn load(
        config: &Config,
        scope: &Scope,
        [inputs, outputs]: [usize; 2],
    ) -> LoadResult<Self> {
        let groups = config.norm_num_groups;
        let shortcut = if inputs == outputs {
            None
        } else {
            Some(scope.conv2d(
                "conv_shortcut",
                [outputs, inputs, 1],
                (1, Padding::symmetric(0)),
            )?)
        };
        Ok(Self {
            norm1: scope.group_norm("norm1", inputs, groups)?,
            conv1: conv3x3(scope, "conv1", [inputs, outputs])?,
            norm2: scope.group_norm("norm2", outputs, groups)?,
            conv2: conv3x3(scope, "conv2", [outputs, outputs])?,
            shortcut,
        })
    }

    /// `[B, inputs, H, W]` to `[B, outputs, H, W]`, in the memory of an input that is its own: at the finest level the
    /// images are most of an edit's memory.
    pub(super) fn forward(&self, x: Held) -> Result<Tensor> {
        if x.tensor().track_op() && self.is_stretch(x.tensor()) {
            return Activations::Keep.stretch(x.tensor(), self.clone());
        }
        let y = self.conv1.forward_normal(x.tensor(), &self.norm1)?;
        let x = match &self.shortcut {
            // the graph of y reads x
            Some(shortcut) if y.track_op() => Held::Alone(shortcut.forward(x.tensor())?),
            Some(shortcut) => Held::Alone(shortcut.forward_within(x)?),
            None => x,
        };
        self.conv2.forward_normal_onto(x, &y, &self.norm2)
    }

    /// Whether the block's own backward gives all gradients that there are.
    pub(super) fn is_stretch(&self, x: &Tensor) -> bool {
        let convolutions = [&self.conv1, &self.conv2];
        let mut convolutions = convolutions.into_iter().chain(&self.shortcut);
        convolutions.all(|conv| conv.is_fused(x)) && !self.norm1.tracked() && !self.norm2.tracked()
    }
}

impl Stretch for ResidualBlock {
    /// The first convolution's answer.
    type Trace = Tensor;

    fn trace(&self, x: &Tensor) -> Result<Tensor> {
        self.conv1.forward_normal(x, &self.norm1)
    }

    fn finish(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let x = match &self.shortcut {
            Some(shortcut) => Held::Alone(shortcut.forward(x)?),
            None => Held::Shared(x.clone()),
        };
        self.conv2.forward_normal_onto(x, y, &self.norm2)
    }

    fn input_gradient(&self, x: &Tensor, y: Tensor, grad: &Tensor) -> Result<Tensor> {
        let of_y = self.conv2.normal_input_gradient(&y, &self.norm2, grad)?;
        drop(y);
        let of_x = self.conv1.normal_input_gradient(x, &self.norm1, &of_y)?;
        drop(of_y);
        match &self.shortcut {
            Some(shortcut) => add_to(&of_x, &shortcut.plain_input_gradient(x, grad)?)?,
            None => add_to(&of_x, grad)?,
        }
        Ok(of_x)
    }
}

/// One-head self-attention over the pixels, added to its input.
#[derive(Clone, Debug)]
struct PixelAttention {
    norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
}

impl PixelAttention {
    fn load(config: &Config, scope: &Scope, channels: usize) -> LoadResult<Self> {
        let linear = |name| scope.linear(name, channels, channels);
        Ok(Self {
            norm: scope.group_norm("group_norm", channels, config.norm_num_groups)?,
            to_q: linear("to_q")?,
            to_k: linear("to_k")?,
            to_v: linear("to_v")?,
            to_out: linear("to_out.0")?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = x.dims4()?;
        let pixels = height * width;
        let tokens = self.norm.forward(x)?.reshape((batch, channels, pixels))?;
        let tokens = tokens.transpose(1, 2)?.contiguous()?;
        let heads = |linear: &Linear| {
            linear
                .forward(&tokens)?
                .reshape((batch, pixels, 1, channels))
        };
        let joined = attention(
            &heads(&self.to_q)?,
            &heads(&self.to_k)?,
            &heads(&self.to_v)?,
            &KeyMask::All,
        )?;
        let joined = self
            .to_out
            .forward(&joined.reshape((batch, pixels, channels))?)?;
        x + joined
            .transpose(1, 2)?
            .contiguous()?
            .reshape((batch, channels, height, width))?
    }
}

/// Residual block, attention, residual block at the coarsest level.
#[derive(Clone, Debug)]
pub(super) struct MidBlock {
    first: ResidualBlock,
    attention: PixelAttention,
    second: ResidualBlock,
}

impl MidBlock {
    pub(super) fn load(config: &Config, scope: &Scope, channels: usize) -> LoadResult<Self> {
        let same = [channels, channels];
        Ok(Self {
            first: ResidualBlock::load(config, &scope.at("resnets.0"), same)?,
            attention: PixelAttention::load(config, &scope.at("attentions.0"), channels)?,
            second: ResidualBlock::load(config, &scope.at("resnets.1"), same)?,
        })
    }

    pub(super) fn forward(&self, x: Held) -> Result<Tensor> {
        let x = self.attention.forward(&self.first.forward(x)?)?;
        self.second.forward(Held::Alone(x))
    }
}

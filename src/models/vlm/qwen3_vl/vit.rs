//! Qwen3-VL's vision encoder (transformers `Qwen3VLVisionModel`), one picture at a time.
use candle_core::{Device, Result, Tensor};

use super::{
    super::{
        feed_forward::{FeedForward, gelu_form},
        resize::{Corners, resize_bilinear},
    },
    blocks::{Grid, in_blocks},
    config::VisionConfig,
};
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{Activations, GeluForm, KeyMask, LayerNorm, Linear, attention, rope_halves},
};

/// Of every norm; the config does not name it.
const EPS: f64 = 1e-6;

#[derive(Clone, Debug)]
pub(super) struct Vit {
    projection: Linear,
    /// Learned for a square grid, in reading order. `[side * side, D]`
    positions: Tensor,
    blocks: Vec<Block>,
    merger: Merger,
    /// The layers after which a merger looks at the states.
    deepstack: Vec<(usize, Merger)>,
    /// Of rows, and of columns.
    frequencies: Vec<f32>,
}

/// What the decoder gets, one row a token.
pub(super) struct Seen {
    /// `[n, D]`
    pub features: Tensor,
    /// `[n, D]` each
    pub additions: Vec<Tensor>,
}

impl Vit {
    pub(super) fn load(config: &VisionConfig, scope: &Scope) -> LoadResult<Self> {
        let (width, patch) = (config.hidden_size, config.patch_size);
        let blocks = (0..config.depth).map(|i| Block::load(config, &scope.at("blocks").at(i)));
        let list = scope.at("deepstack_merger_list");
        let indexes = config.deepstack_visual_indexes.iter().enumerate();
        let deepstack = indexes.map(|(number, layer)| {
            Ok((
                *layer,
                Merger::load(config, &list.at(number), Norm::Merged)?,
            ))
        });
        let side = config.positions();
        let positions = scope
            .at("pos_embed")
            .tensor("weight", &[side * side, width])?;
        let pairs = width / config.num_heads / 4;
        let frequency = |i: usize| {
            let exponent = i as f32 / pairs as f32;
            1.0 / config.rope_theta().powf(f64::from(exponent)) as f32
        };
        Ok(Self {
            projection: scope.at("patch_embed").patch_linear(
                "proj",
                &[3, config.temporal_patch_size, patch, patch],
                width,
            )?,
            positions,
            blocks: blocks.collect::<LoadResult<_>>()?,
            merger: Merger::load(config, &scope.at("merger"), Norm::Apart)?,
            deepstack: deepstack.collect::<LoadResult<_>>()?,
            frequencies: (0..pairs).map(frequency).collect(),
        })
    }

    /// `patches` `[n * merge^2, C * T * P * P]`, block by block.
    pub(super) fn forward(
        &self,
        patches: &Tensor,
        grid: Grid,
        activations: &Activations,
    ) -> Result<Seen> {
        let x = self.projection.forward(patches)?;
        let mut x = (x + self.positions_of(grid)?)?.unsqueeze(0)?;
        let (cos, sin) = self.rotations(grid, x.device())?;
        let mut additions = Vec::new();
        for (layer, block) in self.blocks.iter().enumerate() {
            let (block, cos, sin) = (block.clone(), cos.clone(), sin.clone());
            x = activations.segment([&x], move |[x]| block.forward(x, &cos, &sin))?;
            for (_, merger) in self.deepstack.iter().filter(|(after, _)| *after == layer) {
                additions.push(merger.forward(&x)?);
            }
        }
        Ok(Seen {
            features: self.merger.forward(&x)?,
            additions,
        })
    }

    /// The learned positions, stretched over the picture corner to corner. `[rows * columns, D]`, block by block.
    fn positions_of(&self, grid: Grid) -> Result<Tensor> {
        let (count, width) = self.positions.dims2()?;
        let side = count.isqrt();
        let learned = self.positions.t()?.reshape((width, side, side))?;
        let size = (grid.rows, grid.columns);
        let stretched = resize_bilinear(&learned, size, Corners::Aligned)?;
        let rows = stretched.reshape((width, grid.rows * grid.columns))?.t()?;
        let order = Tensor::new(in_blocks(grid), rows.device())?;
        rows.contiguous()?.index_select(&order, 0)
    }

    /// Half of each head's pairs turn with the row, the other half with the column. `[rows * columns, head_dim / 2]`
    fn rotations(&self, grid: Grid, device: &Device) -> Result<(Tensor, Tensor)> {
        let mut angles = Vec::new();
        for patch in in_blocks(grid) {
            let (row, column) = (patch as usize / grid.columns, patch as usize % grid.columns);
            for at in [row, column] {
                angles.extend(
                    self.frequencies
                        .iter()
                        .map(|frequency| at as f32 * frequency),
                );
            }
        }
        let shape = (grid.rows * grid.columns, 2 * self.frequencies.len());
        let table = |of: fn(f64) -> f64| {
            let values: Vec<f32> = angles
                .iter()
                .map(|angle| of(f64::from(*angle)) as f32)
                .collect();
            Tensor::from_vec(values, shape, &Device::Cpu)?.to_device(device)
        };
        Ok((table(f64::cos)?, table(f64::sin)?))
    }
}

/// `x + attention(norm(x))`, then `x + feed_forward(norm(x))`.
#[derive(Clone, Debug)]
struct Block {
    attention_norm: LayerNorm,
    /// Queries, keys and values one after the other.
    inputs: Linear,
    output: Linear,
    heads: usize,
    feed_forward_norm: LayerNorm,
    feed_forward: FeedForward,
}

impl Block {
    fn load(config: &VisionConfig, scope: &Scope) -> LoadResult<Self> {
        let width = config.hidden_size;
        let attention = scope.at("attn");
        Ok(Self {
            attention_norm: scope.layer_norm("norm1", width, EPS)?,
            inputs: attention.linear("qkv", width, 3 * width)?,
            output: attention.linear("proj", width, width)?,
            heads: config.num_heads,
            feed_forward_norm: scope.layer_norm("norm2", width, EPS)?,
            feed_forward: FeedForward::load(
                &scope.at("mlp"),
                ["linear_fc1", "linear_fc2"],
                [width, config.intermediate_size, width],
                gelu_form("vision_config.hidden_act", &config.hidden_act)?,
            )?,
        })
    }

    /// `[1, n, D]` to the same.
    fn forward(&self, x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
        let (batch, tokens, width) = x.dims3()?;
        let inputs = self.inputs.forward(&self.attention_norm.forward(x)?)?;
        let heads = |part: usize| {
            inputs
                .narrow(2, part * width, width)?
                .contiguous()?
                .reshape((batch, tokens, self.heads, width / self.heads))
        };
        let attended = attention(
            &rope_halves(&heads(0)?, cos, sin)?,
            &rope_halves(&heads(1)?, cos, sin)?,
            &heads(2)?,
            &KeyMask::All,
        )?;
        let x = (x + self.output.forward(&attended.flatten_from(2)?)?)?;
        let fed = self
            .feed_forward
            .forward(&self.feed_forward_norm.forward(&x)?)?;
        x + fed
    }
}

/// What a merger's norm sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Norm {
    /// Each patch.
    Apart,
    /// The patches of a token together.
    Merged,
}

/// Neighbouring patches become one token of the decoder's width.
#[derive(Clone, Debug)]
struct Merger {
    sees: Norm,
    norm: LayerNorm,
    feed_forward: FeedForward,
    /// Of the patches of one token together.
    width: usize,
}

impl Merger {
    fn load(config: &VisionConfig, scope: &Scope, sees: Norm) -> LoadResult<Self> {
        let width = config.hidden_size * config.spatial_merge_size.pow(2);
        let normed = match sees {
            Norm::Apart => config.hidden_size,
            Norm::Merged => width,
        };
        Ok(Self {
            sees,
            norm: scope.layer_norm("norm", normed, EPS)?,
            feed_forward: FeedForward::load(
                scope,
                ["linear_fc1", "linear_fc2"],
                [width, width, config.out_hidden_size],
                GeluForm::Erf,
            )?,
            width,
        })
    }

    /// `[1, n * merge^2, D]` to `[n, out]`
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let merged = |x: Tensor| x.reshape((x.elem_count() / self.width, self.width));
        let x = match self.sees {
            Norm::Apart => merged(self.norm.forward(x)?)?,
            Norm::Merged => self.norm.forward(&merged(x.clone())?)?,
        };
        self.feed_forward.forward(&x)
    }
}

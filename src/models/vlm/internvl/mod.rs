//! InternVL3: InternViT, pixel shuffle and projector (transformers `models/internvl`, `-hf` layout).
mod config;
mod vit;

use candle_core::{IndexOp, Result, Tensor};

use self::{config::Config, vit::InternVit};
use super::{
    chat::Style,
    feed_forward::{FeedForward, gelu_form},
    parts::{Parts, Preprocessor},
    pixels::{Picture, PixelValues, Shown},
    resize::{Rounding, resize},
    tower::{ImageTokens, VisionTower},
};
use crate::{
    models::{error::LoadResult, folder::Folder, weights::Weights},
    nn::{Activations, Compute, LayerNorm, clamp},
};

/// Epsilon of the projector's norm: PyTorch's default.
const PROJECTOR_EPS: f64 = 1e-5;

/// Eye and projector of InternVL.
#[derive(Clone, Debug)]
pub(super) struct Tower {
    vit: InternVit,
    norm: LayerNorm,
    projector: FeedForward,
    preprocessor: Preprocessor,
    image_size: (usize, usize),
    patch: usize,
}

/// Builds the parts of the model in `folder` from `weights`.
pub(super) fn load(folder: &Folder, weights: &Weights, compute: &Compute) -> LoadResult<Parts> {
    let config = Config::read(folder)?;
    let names = super::parts::Names::of(weights);
    let scope = weights.scope(&names.below("multi_modal_projector"), compute);
    let (vision, hidden) = (
        config.vision_config.hidden_size * 4,
        config.text_config.hidden_size,
    );
    let form = gelu_form("projector_hidden_act", &config.projector_hidden_act)?;
    let tower = Tower {
        vit: InternVit::load(
            &config.vision_config,
            &weights.scope(&names.below("vision_tower"), compute),
        )?,
        norm: scope.layer_norm("layer_norm", vision, PROJECTOR_EPS)?,
        projector: FeedForward::load(
            &scope,
            ["linear_1", "linear_2"],
            [vision, hidden, hidden],
            form,
        )?,
        preprocessor: Preprocessor::read(folder)?,
        image_size: config.vision_config.image_size.into(),
        patch: config.vision_config.patch_size.0,
    };
    Ok(Parts {
        decoder: names.decoder(&config.text_config(), weights, compute)?,
        tower: Box::new(tower),
        image_token: config.image_token_id,
        style: Style::Numbered,
    })
}

impl VisionTower for Tower {
    fn shown(&self, _: usize) -> Shown {
        Shown::Together
    }

    fn patch(&self) -> usize {
        self.patch
    }

    fn pixel_values(&self, picture: &Picture, shown: Shown) -> Result<PixelValues> {
        Ok(PixelValues {
            values: self.values(&picture.pixels.unsqueeze(0)?)?,
            size: picture.size()?,
            shown,
        })
    }

    fn looks_at_several(&self) -> bool {
        true
    }

    fn look_at_all(&self, pixels: &Tensor) -> Result<Tensor> {
        self.features(&self.values(pixels)?, &Activations::Keep)
    }

    fn encode(&self, pixels: &PixelValues, activations: &Activations) -> Result<ImageTokens> {
        ImageTokens::sequential(self.features(&pixels.values, activations)?.i(0)?)
    }
}

impl Tower {
    /// The reference's order (nupurkmr9/npedit @ a3cd76c): normalise, then squash to the tower's square without rounding.
    ///
    /// `[P, 3, H, W]` to `[P, 3, S, S]`
    fn values(&self, pixels: &Tensor) -> Result<Tensor> {
        let x = self
            .preprocessor
            .normalisation
            .apply(&clamp(pixels, 0.0, 1.0)?)?;
        resize(&x, self.image_size, Rounding::Exact)
    }

    /// `[P, 3, S, S]` to `[P, n, D]`
    fn features(&self, values: &Tensor, activations: &Activations) -> Result<Tensor> {
        let (grid_height, grid_width) = self.vit.grid();
        let patches = self.vit.forward(values, activations)?;
        let shuffled = shuffle(&patches, grid_height, grid_width)?;
        self.projector.forward(&self.norm.forward(&shuffled)?)
    }
}

/// Four neighbouring patches become one token of four times the width (transformers `pixel_shuffle`, scale 0.5).
///
/// `[B, rows * columns, D]` to `[B, rows / 2 * columns / 2, 4 D]`
fn shuffle(x: &Tensor, rows: usize, columns: usize) -> Result<Tensor> {
    let (batch, _, width) = x.dims3()?;
    x.reshape((batch, rows, columns / 2, 2 * width))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((batch, columns / 2, rows / 2, 4 * width))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((batch, rows * columns / 4, 4 * width))
}

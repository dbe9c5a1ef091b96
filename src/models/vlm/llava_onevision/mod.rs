//! LLaVA-OneVision: SigLIP and projector (transformers `models/llava_onevision`).
mod anyres;
mod config;
mod siglip;
mod views;

#[cfg(test)]
mod tests;

use candle_core::{IndexOp, Result, Tensor};

use self::{anyres::Anyres, config::Config, siglip::Siglip};
use super::{
    chat::Style,
    feed_forward::{FeedForward, gelu_form},
    parts::{Names, Parts, Preprocessor},
    pixels::{Picture, PixelValues, Shown},
    resize::{Corners, resize_bilinear},
    tower::{ImageTokens, VisionTower},
};
use crate::{
    models::{error::LoadResult, folder::Folder, weights::Weights},
    nn::{Activations, Compute, clamp_closed},
};

/// Eye and projector of LLaVA-OneVision.
#[derive(Clone, Debug)]
pub(super) struct Tower {
    siglip: Siglip,
    projector: FeedForward,
    /// Ends each row of a picture on its own, and each picture beside others. `[D]`
    newline: Tensor,
    anyres: Anyres,
    patch: usize,
    preprocessor: Preprocessor,
}

/// Builds the parts of the model in `folder` from `weights`.
pub(super) fn load(folder: &Folder, weights: &Weights, compute: &Compute) -> LoadResult<Parts> {
    let config = Config::read(folder)?;
    let names = Names::of(weights);
    let (vision, hidden) = (
        config.vision_config.hidden_size,
        config.text_config.hidden_size,
    );
    let tower = Tower {
        siglip: Siglip::load(
            &config.vision_config,
            &weights.scope(&eye(&names, weights), compute),
        )?,
        projector: FeedForward::load(
            &weights.scope(&names.below("multi_modal_projector"), compute),
            ["linear_1", "linear_2"],
            [vision, hidden, hidden],
            gelu_form("projector_hidden_act", &config.projector_hidden_act)?,
        )?,
        newline: weights
            .scope("", compute)
            .tensor(names.below("image_newline"), &[hidden])?,
        anyres: config.anyres(),
        patch: config.vision_config.patch_size,
        preprocessor: Preprocessor::read(folder)?,
    };
    Ok(Parts {
        decoder: names.decoder(&config.text_config(), weights, compute)?,
        tower: Box::new(tower),
        image_token: config.image_token_index,
        style: Style::Parts,
    })
}

/// Published checkpoints name the model inside the tower, transformers v5 does not.
fn eye(names: &Names, weights: &Weights) -> String {
    let tower = names.below("vision_tower");
    let inner = format!("{tower}.vision_model");
    match weights.contains(&format!("{inner}.embeddings.patch_embedding.weight")) {
        true => inner,
        false => tower,
    }
}

impl VisionTower for Tower {
    fn shown(&self, images: usize) -> Shown {
        match images {
            1 => Shown::Alone,
            _ => Shown::Together,
        }
    }

    fn patch(&self) -> usize {
        self.patch
    }

    fn pixel_values(&self, picture: &Picture, shown: Shown) -> Result<PixelValues> {
        let (size, side) = (picture.size()?, self.anyres.tile);
        let x = clamp_closed(&picture.pixels, 0.0, 1.0)?;
        let normalisation = &self.preprocessor.normalisation;
        let views = match shown {
            Shown::Together => {
                let background = normalisation
                    .mean
                    .map(|mean| (mean * 255.0).trunc() / 255.0);
                views::squared(&x, side, background, picture.rounding)?
            }
            Shown::Alone => views::tiled(&x, side, &self.anyres.layout(size), picture.rounding)?,
        };
        Ok(PixelValues {
            values: normalisation.apply(&views)?,
            size,
            shown,
        })
    }

    fn encode(&self, pixels: &PixelValues, activations: &Activations) -> Result<ImageTokens> {
        let features = self.siglip.forward(&pixels.values, activations)?;
        let features = self.projector.forward(&features)?;
        let whole = features.i(0)?;
        let newline = self.newline.unsqueeze(0)?;
        let tokens = match pixels.shown {
            Shown::Together => Tensor::cat(&[&whole, &newline], 0)?,
            Shown::Alone => match self.rows(&features.i(1..)?, pixels.size)? {
                Some(rows) => Tensor::cat(&[whole, rows], 0)?,
                None => whole,
            },
        };
        ImageTokens::sequential(tokens)
    }
}

impl Tower {
    /// The tiles' features as one picture, without what shows no picture, a newline behind each row.
    ///
    /// `[tiles, side * side, D]` to `[n, D]`; nothing where the picture is thinner than a patch between two.
    fn rows(&self, tiles: &Tensor, size: (usize, usize)) -> Result<Option<Tensor>> {
        let layout = self.anyres.layout(size);
        if layout.shown.0 * layout.shown.1 == 0 {
            return Ok(None);
        }
        let ((rows, columns), side) = (layout.tiles, self.anyres.side);
        let width = tiles.dim(2)?;
        let grid = tiles
            .reshape(&[rows, columns, side, side, width])?
            .permute([0, 2, 1, 3, 4])?
            .contiguous()?
            .reshape((rows * side, columns * side, width))?
            .narrow(0, layout.first.0, layout.shown.0)?
            .narrow(1, layout.first.1, layout.shown.1)?
            .permute([2, 0, 1])?;
        let kept = resize_bilinear(&grid, layout.kept, Corners::Centred)?.permute([1, 2, 0])?;
        let (rows, _, _) = kept.dims3()?;
        let newlines = self.newline.expand((rows, 1, width))?;
        let ended = Tensor::cat(&[&kept.contiguous()?, &newlines.contiguous()?], 1)?;
        Ok(Some(ended.flatten(0, 1)?))
    }
}

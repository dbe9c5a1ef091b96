//! Qwen3-VL: vision encoder with its mergers, native resolution (transformers `models/qwen3_vl`).
mod blocks;
mod config;
mod size;
mod vit;

#[cfg(test)]
mod tests;

use candle_core::Result;

use self::{
    blocks::{Grid, patches},
    config::Config,
    size::SmartResize,
    vit::Vit,
};
use super::{
    chat::Style,
    parts::{Names, Parts, Preprocessor},
    pixels::{Picture, PixelValues, Shown},
    resize::resize_in_range,
    tower::{ImageTokens, VisionTower},
};
use crate::{
    models::{error::LoadResult, folder::Folder, weights::Weights},
    nn::{Activations, Compute, clamp_closed},
};

/// The published processor refuses longer pictures.
const MAX_ASPECT: usize = 200;

/// Eye and mergers of Qwen3-VL.
#[derive(Clone, Debug)]
pub(super) struct Tower {
    vit: Vit,
    smart_resize: SmartResize,
    patch: usize,
    frames: usize,
    merge: usize,
    preprocessor: Preprocessor,
}

/// Builds the parts of the model in `folder` from `weights`; published checkpoints have v5's names from the start.
pub(super) fn load(folder: &Folder, weights: &Weights, compute: &Compute) -> LoadResult<Parts> {
    let config = Config::read(folder)?;
    let vision = &config.vision_config;
    let names = Names::V5;
    let tower = Tower {
        vit: Vit::load(vision, &weights.scope(&names.below("visual"), compute))?,
        smart_resize: config.smart_resize(folder)?,
        patch: vision.patch_size,
        frames: vision.temporal_patch_size,
        merge: vision.spatial_merge_size,
        preprocessor: Preprocessor::read(folder)?,
    };
    Ok(Parts {
        decoder: names.decoder(&config.text_config(), weights, compute)?,
        tower: Box::new(tower),
        image_token: config.image_token_id,
        style: Style::Parts,
    })
}

impl VisionTower for Tower {
    fn shown(&self, _: usize) -> Shown {
        Shown::Together
    }

    fn patch(&self) -> usize {
        self.patch
    }

    fn max_aspect(&self) -> Option<usize> {
        Some(MAX_ASPECT)
    }

    fn pixel_values(&self, picture: &Picture, shown: Shown) -> Result<PixelValues> {
        let size = picture.size()?;
        let x = clamp_closed(&picture.pixels, 0.0, 1.0)?;
        let x = resize_in_range(&x, self.smart_resize.size(size), picture.rounding)?;
        let x = self.preprocessor.normalisation.apply(&x)?;
        Ok(PixelValues {
            values: patches(&x, self.grid(size), self.frames)?,
            size,
            shown,
        })
    }

    fn encode(&self, pixels: &PixelValues, activations: &Activations) -> Result<ImageTokens> {
        let grid = self.grid(pixels.size);
        let seen = self.vit.forward(&pixels.values, grid, activations)?;
        let (rows, columns) = grid.tokens();
        let rows_and_columns = (0..rows as u32)
            .flat_map(|row| (0..columns as u32).map(move |column| [0, row, column]));
        Ok(ImageTokens {
            features: seen.features,
            additions: seen.additions,
            positions: rows_and_columns.collect(),
            extent: rows.max(columns) as u32,
        })
    }
}

impl Tower {
    /// Patches of a picture of that height and width.
    fn grid(&self, size: (usize, usize)) -> Grid {
        let (height, width) = self.smart_resize.size(size);
        Grid {
            rows: height / self.patch,
            columns: width / self.patch,
            merge: self.merge,
        }
    }
}

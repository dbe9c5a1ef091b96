//! Shapes of an InternVL model.
use serde::Deserialize;

use super::super::parts::check;
use crate::models::{decoder, error::LoadResult, folder::Folder};

const FILE: &str = "config.json";

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    pub downsample_ratio: f64,
    pub projector_hidden_act: String,
    pub image_token_id: u32,
    pub vision_feature_layer: i64,
    pub vision_feature_select_strategy: String,
    pub vision_config: VisionConfig,
    pub text_config: decoder::Config,
    #[serde(default)]
    tie_word_embeddings: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct VisionConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub image_size: Sides,
    pub patch_size: Sides,
    pub hidden_act: String,
    pub layer_norm_eps: f64,
    pub norm_type: NormType,
    #[serde(default)]
    pub attention_bias: bool,
    #[serde(default)]
    pub use_qk_norm: bool,
    use_mean_pooling: bool,
    use_absolute_position_embeddings: bool,
    #[serde(default)]
    use_mask_token: bool,
}

/// Height and width; one number means a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrTwo")]
pub(super) struct Sides(pub usize, pub usize);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrTwo {
    One(usize),
    Two([usize; 2]),
}

impl From<OneOrTwo> for Sides {
    fn from(sides: OneOrTwo) -> Self {
        match sides {
            OneOrTwo::One(side) => Self(side, side),
            OneOrTwo::Two([height, width]) => Self(height, width),
        }
    }
}

impl From<Sides> for (usize, usize) {
    fn from(Sides(height, width): Sides) -> Self {
        (height, width)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NormType {
    LayerNorm,
    RmsNorm,
}

impl Config {
    pub(super) fn read(folder: &Folder) -> LoadResult<Self> {
        let config: Self = folder.json(FILE)?;
        let vision = &config.vision_config;
        let Sides(patch, patch_width) = vision.patch_size;
        let Sides(height, width) = vision.image_size;
        let whole = |side: usize| patch > 0 && side > 0 && side.is_multiple_of(2 * patch);
        let rules = [
            (
                config.downsample_ratio == 0.5,
                "downsample_ratio",
                config.downsample_ratio.to_string(),
                "0.5",
            ),
            (
                config.vision_feature_layer == -1,
                "vision_feature_layer",
                config.vision_feature_layer.to_string(),
                "-1",
            ),
            (
                config.vision_feature_select_strategy == "default",
                "vision_feature_select_strategy",
                config.vision_feature_select_strategy.clone(),
                "default",
            ),
            (
                patch == patch_width && whole(height) && whole(width),
                "vision_config.image_size",
                format!("{:?}", vision.image_size),
                "whole square patches, an even number of them a side",
            ),
            (
                vision.num_attention_heads > 0
                    && vision
                        .hidden_size
                        .is_multiple_of(vision.num_attention_heads),
                "vision_config.num_attention_heads",
                vision.num_attention_heads.to_string(),
                "a divisor of hidden_size",
            ),
            (
                vision.use_mean_pooling
                    && vision.use_absolute_position_embeddings
                    && !vision.use_mask_token,
                "vision_config",
                "another embedding or final norm".into(),
                "use_mean_pooling, use_absolute_position_embeddings and no use_mask_token, as in every InternVL3",
            ),
        ];
        check(folder, FILE, rules)?;
        Ok(config)
    }

    /// The decoder's config, with the tie that either level may declare.
    pub(super) fn text_config(&self) -> decoder::Config {
        self.text_config.clone().tied(self.tie_word_embeddings)
    }
}

//! Shapes of a LLaVA-OneVision model.
use serde::Deserialize;

use super::{
    super::parts::{Preprocessor, check},
    anyres::Anyres,
};
use crate::models::{decoder, error::LoadResult, folder::Folder};

const FILE: &str = "config.json";

/// What is absent has transformers' default, here and below: published configs leave it out.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    #[serde(alias = "image_token_id")]
    pub image_token_index: u32,
    #[serde(default = "gelu")]
    pub projector_hidden_act: String,
    #[serde(default = "yes")]
    multimodal_projector_bias: bool,
    #[serde(default = "last")]
    vision_feature_layer: i64,
    #[serde(default = "full")]
    vision_feature_select_strategy: String,
    #[serde(default = "anyres_max_9")]
    vision_aspect_ratio: String,
    #[serde(default = "pinpoints")]
    image_grid_pinpoints: Vec<(usize, usize)>,
    pub vision_config: VisionConfig,
    pub text_config: decoder::Config,
    #[serde(default)]
    tie_word_embeddings: bool,
}

/// Of SigLIP.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct VisionConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub image_size: usize,
    pub patch_size: usize,
    #[serde(default = "gelu_tanh")]
    pub hidden_act: String,
    #[serde(default = "layer_norm_eps")]
    pub layer_norm_eps: f64,
}

/// What the processor must agree on with the model.
#[derive(Deserialize)]
struct Views {
    #[serde(default = "pinpoints")]
    image_grid_pinpoints: Vec<(usize, usize)>,
    #[serde(default = "square")]
    size: Square,
}

#[derive(Debug, Deserialize)]
struct Square {
    height: usize,
    width: usize,
}

fn gelu() -> String {
    "gelu".into()
}

fn gelu_tanh() -> String {
    "gelu_pytorch_tanh".into()
}

fn layer_norm_eps() -> f64 {
    1e-6
}

fn yes() -> bool {
    true
}

fn last() -> i64 {
    -1
}

fn full() -> String {
    "full".into()
}

fn anyres_max_9() -> String {
    "anyres_max_9".into()
}

const SIDE: usize = 384;

fn square() -> Square {
    Square {
        height: SIDE,
        width: SIDE,
    }
}

fn pinpoints() -> Vec<(usize, usize)> {
    let sides = || (1..=6).map(|tiles| tiles * SIDE);
    sides()
        .flat_map(|height| sides().map(move |width| (height, width)))
        .collect()
}

impl Config {
    pub(super) fn read(folder: &Folder) -> LoadResult<Self> {
        let config: Self = folder.json(FILE)?;
        let vision = &config.vision_config;
        let tile = vision.image_size;
        let whole = |side: usize| side > 0 && side.is_multiple_of(tile);
        let rules = [
            (
                config.vision_feature_layer == -1,
                "vision_feature_layer",
                config.vision_feature_layer.to_string(),
                "-1",
            ),
            (
                config.vision_feature_select_strategy == "full",
                "vision_feature_select_strategy",
                config.vision_feature_select_strategy.clone(),
                "full",
            ),
            (
                config.multimodal_projector_bias,
                "multimodal_projector_bias",
                "false".into(),
                "true",
            ),
            (
                vision.patch_size > 0 && tile >= vision.patch_size,
                "vision_config.patch_size",
                vision.patch_size.to_string(),
                "at least 1 and at most image_size",
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
                config.most().is_some(),
                "vision_aspect_ratio",
                config.vision_aspect_ratio.clone(),
                "anyres_max_ and a number above 0",
            ),
            (
                !config.image_grid_pinpoints.is_empty()
                    && config
                        .image_grid_pinpoints
                        .iter()
                        .all(|(height, width)| whole(*height) && whole(*width)),
                "image_grid_pinpoints",
                format!("{:?}", config.image_grid_pinpoints),
                "heights and widths that are multiples of vision_config.image_size",
            ),
        ];
        check(folder, FILE, rules)?;
        let views: Views = folder.json(Preprocessor::FILE)?;
        let rules = [
            (
                views.size.height == tile && views.size.width == tile,
                "size",
                format!("{:?}", views.size),
                "the image_size of config.json",
            ),
            (
                views.image_grid_pinpoints == config.image_grid_pinpoints,
                "image_grid_pinpoints",
                format!("{:?}", views.image_grid_pinpoints),
                "those of config.json",
            ),
        ];
        check(folder, Preprocessor::FILE, rules)?;
        Ok(config)
    }

    /// How many tiles' features a picture may have.
    fn most(&self) -> Option<usize> {
        let number = self.vision_aspect_ratio.strip_prefix("anyres_max_")?;
        number.parse().ok().filter(|most| *most > 0)
    }

    pub(super) fn anyres(&self) -> Anyres {
        Anyres {
            canvases: self.image_grid_pinpoints.clone(),
            tile: self.vision_config.image_size,
            side: self.vision_config.image_size / self.vision_config.patch_size,
            most: self.most().unwrap_or(1),
        }
    }

    /// The decoder's config, with the tie that either level may declare.
    pub(super) fn text_config(&self) -> decoder::Config {
        self.text_config
            .clone()
            .tied(Some(self.tie_word_embeddings))
    }
}

//! Shapes of a Qwen3-VL model.
use serde::Deserialize;

use super::{
    super::parts::{Preprocessor, check},
    size::SmartResize,
};
use crate::models::{decoder, error::LoadResult, folder::Folder};

const FILE: &str = "config.json";

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    pub image_token_id: u32,
    pub vision_config: VisionConfig,
    pub text_config: decoder::Config,
    #[serde(default)]
    tie_word_embeddings: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct VisionConfig {
    pub depth: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_heads: usize,
    pub patch_size: usize,
    pub temporal_patch_size: usize,
    /// Patches a side of what becomes one token.
    pub spatial_merge_size: usize,
    pub out_hidden_size: usize,
    pub num_position_embeddings: usize,
    /// Layers whose outputs go into the decoder's first layers.
    pub deepstack_visual_indexes: Vec<usize>,
    pub hidden_act: String,
    /// As transformers v5 writes it.
    #[serde(default)]
    rope_parameters: Rope,
}

#[derive(Clone, Debug, Deserialize)]
struct Rope {
    rope_theta: f64,
}

impl Default for Rope {
    fn default() -> Self {
        Self {
            rope_theta: 10_000.0,
        }
    }
}

/// What the processor must agree on with the model, and how many pixels it lets through.
#[derive(Deserialize)]
struct Limits {
    size: Pixels,
    patch_size: usize,
    temporal_patch_size: usize,
    merge_size: usize,
}

/// Counts of pixels, whatever their names say.
#[derive(Debug, Deserialize)]
struct Pixels {
    shortest_edge: usize,
    longest_edge: usize,
}

impl VisionConfig {
    /// Positions a side of the learned grid.
    pub(super) fn positions(&self) -> usize {
        self.num_position_embeddings.isqrt()
    }

    pub(super) fn rope_theta(&self) -> f64 {
        self.rope_parameters.rope_theta
    }

    /// Pixels a side of what becomes one token.
    fn factor(&self) -> usize {
        self.patch_size * self.spatial_merge_size
    }
}

impl Config {
    pub(super) fn read(folder: &Folder) -> LoadResult<Self> {
        let config: Self = folder.json(FILE)?;
        let vision = &config.vision_config;
        let indexes = &vision.deepstack_visual_indexes;
        let rules = [
            (
                vision.factor() * vision.temporal_patch_size > 0,
                "vision_config.patch_size",
                vision.patch_size.to_string(),
                "at least 1, as temporal_patch_size and spatial_merge_size",
            ),
            (
                vision.num_heads > 0 && vision.hidden_size.is_multiple_of(4 * vision.num_heads),
                "vision_config.num_heads",
                vision.num_heads.to_string(),
                "such that hidden_size is a multiple of 4 in each head",
            ),
            (
                vision.positions() > 0
                    && vision.positions().pow(2) == vision.num_position_embeddings,
                "vision_config.num_position_embeddings",
                vision.num_position_embeddings.to_string(),
                "a square number",
            ),
            (
                vision.out_hidden_size == config.text_config.hidden_size,
                "vision_config.out_hidden_size",
                vision.out_hidden_size.to_string(),
                "the hidden_size of text_config",
            ),
            (
                indexes.is_sorted_by(|a, b| a < b)
                    && indexes.iter().all(|index| *index < vision.depth)
                    && indexes.len() <= config.text_config.num_hidden_layers,
                "vision_config.deepstack_visual_indexes",
                format!("{indexes:?}"),
                "ascending, below depth, and no more than the decoder has layers",
            ),
        ];
        check(folder, FILE, rules)?;
        Ok(config)
    }

    /// The sizes that pictures are brought to.
    pub(super) fn smart_resize(&self, folder: &Folder) -> LoadResult<SmartResize> {
        let limits: Limits = folder.json(Preprocessor::FILE)?;
        let vision = &self.vision_config;
        let factor = vision.factor();
        let same = |key, ours: usize, theirs: usize| {
            (
                ours == theirs,
                key,
                ours.to_string(),
                "that of vision_config in config.json",
            )
        };
        let rules = [
            same("patch_size", limits.patch_size, vision.patch_size),
            same(
                "temporal_patch_size",
                limits.temporal_patch_size,
                vision.temporal_patch_size,
            ),
            same("merge_size", limits.merge_size, vision.spatial_merge_size),
            (
                limits.size.shortest_edge <= limits.size.longest_edge
                    && limits.size.longest_edge >= factor * factor,
                "size",
                format!("{:?}", limits.size),
                "room for one token, in ascending order",
            ),
        ];
        check(folder, Preprocessor::FILE, rules)?;
        Ok(SmartResize {
            factor,
            fewest: limits.size.shortest_edge,
            most: limits.size.longest_edge,
        })
    }

    /// The decoder's config, with the tie that either level may declare.
    pub(super) fn text_config(&self) -> decoder::Config {
        self.text_config
            .clone()
            .tied(Some(self.tie_word_embeddings))
    }
}

//! Sizes of the random bundles.
use serde_json::{Value, json};

use crate::models::{
    bundle::{BundleSettings, Vocabulary},
    files::JUDGE,
};

/// A size of random bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// About a megabyte: an edit takes a fraction of a second on a laptop.
    Tiny,
    /// About 150 million parameters in the proportions of the real models: for benchmarks.
    Small,
    /// The sizes of Z-Image, its text encoder and InternVL3-2B, about 24 GB: to measure a machine without a download.
    Zimage,
    /// What the scenes of [`crate::world`] need, to be trained from scratch: their words are its tokens.
    World,
}

impl Preset {
    pub(super) fn settings(self) -> BundleSettings {
        let released = BundleSettings {
            judge: Some(JUDGE.into()),
            ..BundleSettings::default()
        };
        match self {
            Self::Tiny => BundleSettings {
                target_area_px: 128 * 128,
                ..released
            },
            Self::Small | Self::Zimage => released,
            Self::World => BundleSettings {
                target_area_px: 64 * 64,
                sigmas: vec![1.0, 0.9, 0.75, 0.5],
                shift: self.shift(),
                vocabulary: Vocabulary::World,
                ..released
            },
        }
    }

    /// Time shift: small pictures lose their content at lower noise levels.
    fn shift(self) -> f64 {
        match self {
            Self::Tiny | Self::Small | Self::Zimage => 6.0,
            Self::World => 3.0,
        }
    }

    pub(super) fn transformer(self) -> Value {
        let (dim, heads, axes, layers, refiners, features) = match self {
            Self::Tiny => (48, 2, [8, 8, 8], 2, 1, 48),
            Self::Small => (768, 6, [32, 48, 48], 10, 2, 512),
            Self::Zimage => (3840, 30, [32, 48, 48], 30, 2, 2560),
            Self::World => (96, 3, [8, 12, 12], 4, 1, 96),
        };
        let patch = match self {
            Self::Tiny | Self::Small | Self::Zimage => 2,
            Self::World => 1,
        };
        json!({
            "_class_name": "ZImageTransformer2DModel",
            "all_f_patch_size": [1],
            "all_patch_size": [patch],
            "axes_dims": axes,
            "axes_lens": [1024, 512, 512],
            "cap_feat_dim": features,
            "dim": dim,
            "in_channels": 16,
            "n_heads": heads,
            "n_kv_heads": heads,
            "n_layers": layers,
            "n_refiner_layers": refiners,
            "norm_eps": 1e-5,
            "qk_norm": true,
            "rope_theta": 256.0,
            "siglip_feat_dim": null,
            "t_scale": 1000.0
        })
    }

    pub(super) fn vae(self) -> Value {
        let (channels, layers, groups) = match self {
            Self::Tiny => ([8, 16, 16, 16], 1, 4),
            Self::World => ([16, 32, 48, 64], 1, 4),
            Self::Small => ([64, 128, 256, 256], 2, 32),
            Self::Zimage => ([128, 256, 512, 512], 2, 32),
        };
        json!({
            "_class_name": "AutoencoderKL",
            "act_fn": "silu",
            "block_out_channels": channels,
            "down_block_types": vec!["DownEncoderBlock2D"; 4],
            "force_upcast": true,
            "in_channels": 3,
            "latent_channels": 16,
            "latents_mean": null,
            "latents_std": null,
            "layers_per_block": layers,
            "mid_block_add_attention": true,
            "norm_num_groups": groups,
            "out_channels": 3,
            "sample_size": 1024,
            "scaling_factor": 0.3611,
            "shift_factor": 0.1159,
            "up_block_types": vec!["UpDecoderBlock2D"; 4],
            "use_post_quant_conv": false,
            "use_quant_conv": false
        })
    }

    pub(super) fn scheduler(self) -> Value {
        json!({
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "num_train_timesteps": 1000,
            "shift": self.shift(),
            "use_dynamic_shifting": false
        })
    }

    pub(super) fn text_encoder(self) -> Value {
        let (hidden, layers, [heads, groups], head_dim, feed_forward) = match self {
            Self::Tiny => (48, 2, [4, 2], 12, 96),
            Self::World => (96, 4, [4, 2], 24, 192),
            Self::Small => (512, 6, [8, 4], 64, 1536),
            Self::Zimage => (2560, 36, [32, 8], 128, 9728),
        };
        json!({
            "architectures": ["Qwen3Model"],
            "attention_bias": false,
            "attention_dropout": 0.0,
            "head_dim": head_dim,
            "hidden_act": "silu",
            "hidden_size": hidden,
            "intermediate_size": feed_forward,
            "max_position_embeddings": 40960,
            "model_type": "qwen3",
            "num_attention_heads": heads,
            "num_hidden_layers": layers,
            "num_key_value_heads": groups,
            "rms_norm_eps": 1e-6,
            "rope_scaling": null,
            "rope_theta": 1_000_000.0,
            "tie_word_embeddings": true,
            "use_sliding_window": false,
            "vocab_size": super::tokenizer::Tokenizer::of(self).size()
        })
    }
}

/// Ends of the names of what a judge's blocks add to their input.
const ADDED: [&str; 4] = [
    "o_proj.weight",
    "down_proj.weight",
    "projection_layer.weight",
    "fc2.weight",
];

impl Preset {
    /// What a transformer's tensors are multiplied by. What multiplies a block's answer, and the last layer, begin at zero
    /// where the model is to be trained from scratch, so that every block begins as the identity (AdaLN-Zero, arXiv
    /// 2212.09748).
    pub(super) fn of_transformer(self, name: &str) -> f64 {
        let multiplies = name.contains("adaLN_modulation") || name.contains("final_layer");
        if self == Self::World && multiplies {
            0.0
        } else {
            1.0
        }
    }

    /// What a judge's tensors are multiplied by: one that is to be trained from scratch says everything with much the same
    /// probability at first, and its blocks add little.
    pub(super) fn of_judge(self, name: &str) -> f64 {
        match self {
            Self::Tiny | Self::Small | Self::Zimage => 1.0,
            Self::World if name.contains("embed_tokens") => 0.1,
            Self::World if ADDED.iter().any(|end| name.ends_with(end)) => 0.4,
            Self::World => 1.0,
        }
    }
}

/// `model_index.json` of diffusers' `ZImagePipeline`.
pub(super) fn model_index() -> Value {
    json!({
        "_class_name": "ZImagePipeline",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen3Model"],
        "tokenizer": ["transformers", "Qwen2Tokenizer"],
        "transformer": ["diffusers", "ZImageTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"]
    })
}

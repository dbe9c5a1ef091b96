//! The judge of a random bundle: InternVL's classes and files.
use serde_json::{Value, json};

use super::{Preset, tokenizer::Tokenizer};

/// InternVL3's template (`chat_template.jinja` of `OpenGVLab/InternVL3-8B-hf`), as far as one user turn of text needs it.
const TEMPLATE: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n'}}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\\n' }}{% endif %}";

/// Terse, for the world's judge: each picture is followed by the words that a question looks things up at.
const WORLD_TEMPLATE: &str = "{% for message in messages %}{{ message['content'].replace('</img>\\nImage-2: ', '</img> left right background image').replace('Image-1: ', '').replace('</img>\\n', '</img> left right background image\\n') }}{% endfor %}";

/// What the world's judge is asked: the second question goes on where the first one ends.
const WORLD_QUESTIONS: &str = r#"# What this judge was trained to answer.

[default.edit]
shows = "both"
expected = "yes"
text = "{instruction}: done"

[default.preservation]
shows = "both"
expected = "yes"
text = "{instruction}: done unchanged"
"#;

/// The files in words.
pub(super) fn texts(preset: Preset) -> Vec<(&'static str, &'static str)> {
    match preset {
        Preset::Tiny | Preset::Small | Preset::Zimage => vec![("chat_template.jinja", TEMPLATE)],
        Preset::World => vec![
            ("chat_template.jinja", WORLD_TEMPLATE),
            ("questions.toml", WORLD_QUESTIONS),
        ],
    }
}

/// Sizes that differ.
struct Sizes {
    side: usize,
    /// Pixels a side of a patch; four patches make one token.
    patch: usize,
    vision_width: usize,
    vision_layers: usize,
    vision_heads: usize,
    hidden: usize,
    layers: usize,
    heads: usize,
    key_value_heads: usize,
    feed_forward: usize,
    /// Base of the rotary frequencies.
    theta: f64,
}

impl Sizes {
    fn of(preset: Preset) -> Self {
        match preset {
            Preset::Tiny => Self {
                side: 112,
                patch: 14,
                vision_width: 32,
                vision_layers: 2,
                vision_heads: 2,
                hidden: 48,
                layers: 2,
                heads: 4,
                key_value_heads: 2,
                feed_forward: 96,
                theta: 1_000_000.0,
            },
            Preset::Small => Self {
                side: 448,
                patch: 14,
                vision_width: 384,
                vision_layers: 12,
                vision_heads: 6,
                hidden: 512,
                layers: 8,
                heads: 8,
                key_value_heads: 2,
                feed_forward: 1536,
                theta: 1_000_000.0,
            },
            Preset::Zimage => Self {
                side: 448,
                patch: 14,
                vision_width: 1024,
                vision_layers: 24,
                vision_heads: 16,
                hidden: 1536,
                layers: 28,
                heads: 12,
                key_value_heads: 2,
                feed_forward: 8960,
                theta: 1_000_000.0,
            },
            Preset::World => Self {
                side: 64,
                patch: 8,
                vision_width: 64,
                vision_layers: 3,
                vision_heads: 2,
                hidden: 96,
                layers: 6,
                heads: 3,
                key_value_heads: 1,
                feed_forward: 192,
                theta: 10_000.0,
            },
        }
    }
}

pub(super) fn config(preset: Preset) -> Value {
    let sizes = Sizes::of(preset);
    let tokenizer = Tokenizer::of_judge(preset);
    let grid = sizes.side / sizes.patch;
    json!({
        "architectures": ["InternVLForConditionalGeneration"],
        "downsample_ratio": 0.5,
        "image_seq_length": grid * grid / 4,
        "image_token_id": tokenizer.image_token(),
        "model_type": "internvl",
        "projector_hidden_act": "gelu",
        "text_config": {
            "attention_dropout": 0.0,
            "hidden_act": "silu",
            "hidden_size": sizes.hidden,
            "intermediate_size": sizes.feed_forward,
            "max_position_embeddings": 32768,
            "model_type": "qwen2",
            "num_attention_heads": sizes.heads,
            "num_hidden_layers": sizes.layers,
            "num_key_value_heads": sizes.key_value_heads,
            "rms_norm_eps": 1e-6,
            "rope_scaling": null,
            "rope_theta": sizes.theta,
            "tie_word_embeddings": true,
            "use_sliding_window": false,
            "vocab_size": tokenizer.size()
        },
        "tie_word_embeddings": true,
        "vision_config": {
            "attention_bias": true,
            "attention_dropout": 0.0,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.0,
            "hidden_size": sizes.vision_width,
            "image_size": [sizes.side, sizes.side],
            "intermediate_size": 4 * sizes.vision_width,
            "layer_norm_eps": 1e-6,
            "layer_scale_init_value": 0.1,
            "model_type": "internvl_vision",
            "norm_type": "layer_norm",
            "num_attention_heads": sizes.vision_heads,
            "num_channels": 3,
            "num_hidden_layers": sizes.vision_layers,
            "patch_size": [sizes.patch, sizes.patch],
            "projection_dropout": 0.0,
            "use_absolute_position_embeddings": true,
            "use_mask_token": false,
            "use_mean_pooling": true,
            "use_qk_norm": false
        },
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default"
    })
}

pub(super) fn preprocessor(preset: Preset) -> Value {
    let size = &config(preset)["vision_config"]["image_size"];
    json!({
        "crop_to_patches": false,
        "do_normalize": true,
        "do_rescale": true,
        "do_resize": true,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "image_processor_type": "GotOcr2ImageProcessorFast",
        "processor_class": "InternVLProcessor",
        "resample": 3,
        "rescale_factor": 1.0 / 255.0,
        "size": {"height": size[0], "width": size[1]}
    })
}

//! The judge of a random bundle: InternVL's classes and files.
use serde_json::{Value, json};

use super::{Preset, tokenizer};

/// InternVL3's template (`chat_template.jinja` of `OpenGVLab/InternVL3-8B-hf`), as far as one user turn of text needs it.
pub(super) const TEMPLATE: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n'}}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\\n' }}{% endif %}";

/// Patches of 14 pixels, of which four make one token.
const PATCH: usize = 14;

pub(super) fn config(preset: Preset) -> Value {
    let (side, width, vision_layers, hidden, layers, feed_forward) = match preset {
        Preset::Tiny => (112, 32, 2, 48, 2, 96),
        Preset::Small => (448, 384, 12, 512, 8, 1536),
    };
    let (heads, vision_heads) = match preset {
        Preset::Tiny => (4, 2),
        Preset::Small => (8, 6),
    };
    let grid = side / PATCH;
    json!({
        "architectures": ["InternVLForConditionalGeneration"],
        "downsample_ratio": 0.5,
        "image_seq_length": grid * grid / 4,
        "image_token_id": tokenizer::JUDGE_IMAGE_TOKEN,
        "model_type": "internvl",
        "projector_hidden_act": "gelu",
        "text_config": {
            "attention_dropout": 0.0,
            "hidden_act": "silu",
            "hidden_size": hidden,
            "intermediate_size": feed_forward,
            "max_position_embeddings": 32768,
            "model_type": "qwen2",
            "num_attention_heads": heads,
            "num_hidden_layers": layers,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-6,
            "rope_scaling": null,
            "rope_theta": 1_000_000.0,
            "tie_word_embeddings": true,
            "use_sliding_window": false,
            "vocab_size": tokenizer::JUDGE_VOCABULARY
        },
        "tie_word_embeddings": true,
        "vision_config": {
            "attention_bias": true,
            "attention_dropout": 0.0,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.0,
            "hidden_size": width,
            "image_size": [side, side],
            "intermediate_size": 4 * width,
            "layer_norm_eps": 1e-6,
            "layer_scale_init_value": 0.1,
            "model_type": "internvl_vision",
            "norm_type": "layer_norm",
            "num_attention_heads": vision_heads,
            "num_channels": 3,
            "num_hidden_layers": vision_layers,
            "patch_size": [PATCH, PATCH],
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

use std::fs;

use candle_core::Tensor;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    super::{pixels::Picture, resize::Rounding},
    *,
};
use crate::models::{
    error::LoadError,
    files::Files,
    finite_differences::{check, double, random_tensor, random_weights},
};

fn config() -> Value {
    json!({
        "image_token_id": 9,
        "text_config": {
            "head_dim": 4, "hidden_size": 8, "intermediate_size": 8, "model_type": "qwen3_vl_text",
            "num_attention_heads": 2, "num_hidden_layers": 2, "num_key_value_heads": 1, "vocab_size": 10,
            "rope_theta": 10000.0,
            "rope_scaling": {"mrope_interleaved": true, "mrope_section": [1, 1, 0], "rope_type": "default"}
        },
        "vision_config": {
            "deepstack_visual_indexes": [0, 1], "depth": 2, "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": 8, "intermediate_size": 12, "num_heads": 2, "num_position_embeddings": 9,
            "out_hidden_size": 8, "patch_size": 2, "spatial_merge_size": 2, "temporal_patch_size": 2
        }
    })
}

fn preprocessor() -> Value {
    json!({
        "image_mean": [0.5, 0.4, 0.5], "image_std": [0.5, 0.5, 0.3],
        "size": {"shortest_edge": 64, "longest_edge": 160},
        "patch_size": 2, "temporal_patch_size": 2, "merge_size": 2
    })
}

fn folder(config: &Value, preprocessor: &Value) -> (TempDir, Folder) {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("config.json", config),
        ("preprocessor_config.json", preprocessor),
    ] {
        fs::write(dir.path().join(name), value.to_string()).unwrap();
    }
    let folder = Folder::root(Files::Directory(dir.path().into()));
    (dir, folder)
}

fn pixels(height: usize, width: usize) -> Tensor {
    let x = random_tensor("pixels", &[3, height, width]);
    x.clamp(-1.5, 1.5).unwrap().affine(0.1, 0.5).unwrap()
}

/// Tokens and what is added to them in the decoder, side by side.
fn seen(tower: &dyn VisionTower, x: &Tensor) -> Result<Tensor> {
    let picture = Picture {
        pixels: x.clone(),
        rounding: Rounding::Exact,
    };
    let tokens = tower.encode(
        &tower.pixel_values(&picture, Shown::Together)?,
        &Activations::Keep,
    )?;
    let all = [&[tokens.features][..], &tokens.additions].concat();
    Tensor::stack(&all, 0)
}

#[test]
fn a_picture_is_differentiable_at_its_own_size_and_resized() {
    let (_dir, folder) = folder(&config(), &preprocessor());
    let tower = load(&folder, &random_weights(4), &double()).unwrap().tower;
    for (height, width, tokens) in [(8, 12, 6), (5, 7, 6), (20, 17, 6)] {
        let x = pixels(height, width);
        let tower = tower.as_ref();
        assert_eq!(
            seen(tower, &x).unwrap().dims(),
            [3, tokens, 8],
            "{height}x{width}"
        );
        check(&[x], |x| seen(tower, &x[0]));
    }
}

#[test]
fn positions_are_rows_and_columns_of_tokens() {
    let (_dir, folder) = folder(&config(), &preprocessor());
    let tower = load(&folder, &random_weights(4), &double()).unwrap().tower;
    let picture = Picture {
        pixels: pixels(8, 12),
        rounding: Rounding::Exact,
    };
    let values = tower.pixel_values(&picture, Shown::Together).unwrap();
    let tokens = tower.encode(&values, &Activations::Keep).unwrap();
    let expected = [
        [0, 0, 0],
        [0, 0, 1],
        [0, 0, 2],
        [0, 1, 0],
        [0, 1, 1],
        [0, 1, 2],
    ];
    assert_eq!(tokens.positions, expected);
    assert_eq!(tokens.extent, 3);
}

#[test]
fn configs_that_npedit_does_not_have_are_refused() {
    for (pointer, key, value) in [
        ("/vision_config", "num_heads", json!(4)),
        ("/vision_config", "patch_size", json!(0)),
        ("/vision_config", "num_position_embeddings", json!(8)),
        ("/vision_config", "out_hidden_size", json!(6)),
        ("/vision_config", "deepstack_visual_indexes", json!([1, 0])),
        ("/vision_config", "deepstack_visual_indexes", json!([0, 2])),
        ("/vision_config", "hidden_act", json!("relu")),
        (
            "/text_config/rope_scaling",
            "mrope_interleaved",
            json!(false),
        ),
        (
            "/text_config/rope_scaling",
            "mrope_section",
            json!([1, 1, 1]),
        ),
    ] {
        let mut config = config();
        config.pointer_mut(pointer).unwrap()[key] = value.clone();
        refused(&config, &preprocessor(), key);
    }
}

#[test]
fn a_processor_of_another_model_is_refused() {
    for (key, value) in [
        ("patch_size", json!(4)),
        ("merge_size", json!(1)),
        ("temporal_patch_size", json!(1)),
        ("size", json!({"shortest_edge": 64, "longest_edge": 15})),
        ("size", json!({"shortest_edge": 64, "longest_edge": 32})),
        ("resample", json!(2)),
    ] {
        let mut preprocessor = preprocessor();
        preprocessor[key] = value;
        refused(&config(), &preprocessor, key);
    }
}

fn refused(config: &Value, preprocessor: &Value, key: &str) {
    let (_dir, folder) = folder(config, preprocessor);
    let error = load(&folder, &random_weights(4), &double()).err().unwrap();
    let LoadError::Config { key: named, .. } = &error else {
        panic!("{key}: {error}")
    };
    assert!(named.ends_with(key), "{named} for {key}");
}

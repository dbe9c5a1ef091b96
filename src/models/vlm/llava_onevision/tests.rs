use std::fs;

use candle_core::{DType, Tensor};
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

/// Twelve pixels a tile of two by two patches, at most one tile's worth of features: larger pictures are shrunk.
fn config() -> Value {
    json!({
        "image_token_index": 9,
        "vision_aspect_ratio": "anyres_max_1",
        "image_grid_pinpoints": [[13, 13], [26, 39]],
        "text_config": {
            "hidden_size": 8, "intermediate_size": 8, "model_type": "qwen2", "num_attention_heads": 2,
            "num_hidden_layers": 1, "num_key_value_heads": 1, "rope_theta": 10000.0, "vocab_size": 10
        },
        "vision_config": {
            "hidden_size": 8, "image_size": 13, "intermediate_size": 12, "num_attention_heads": 2,
            "num_hidden_layers": 1, "patch_size": 6
        }
    })
}

fn folder(config: &Value) -> (TempDir, Folder) {
    let dir = tempfile::tempdir().unwrap();
    let preprocessor = json!({
        "image_grid_pinpoints": [[13, 13], [26, 39]],
        "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "resample": 3,
        "size": {"height": 13, "width": 13}
    });
    for (name, value) in [
        ("config.json", config),
        ("preprocessor_config.json", &preprocessor),
    ] {
        fs::write(dir.path().join(name), value.to_string()).unwrap();
    }
    let folder = Folder::root(Files::Directory(dir.path().into()));
    (dir, folder)
}

fn tower() -> Box<dyn VisionTower> {
    let (_dir, folder) = folder(&config());
    load(&folder, &random_weights(3), &double()).unwrap().tower
}

/// Away from the edges of the range, where the cut has no slope.
fn pixels(height: usize, width: usize) -> Tensor {
    let x = random_tensor("pixels", &[3, height, width]);
    x.clamp(-1.5, 1.5).unwrap().affine(0.1, 0.5).unwrap()
}

fn features(tower: &dyn VisionTower, x: &Tensor, shown: Shown) -> Result<Tensor> {
    let picture = Picture {
        pixels: x.clone(),
        rounding: Rounding::Exact,
    };
    Ok(tower
        .encode(&tower.pixel_values(&picture, shown)?, &Activations::Keep)?
        .features)
}

#[test]
fn a_picture_alone_is_tiled_shrunk_and_differentiable() {
    let tower = tower();
    let x = pixels(17, 29);
    let tokens = features(tower.as_ref(), &x, Shown::Alone).unwrap();
    // four of the whole, then 4x6 patches of 2x3 tiles less what shows black, shrunk to about four
    assert_eq!(tokens.dims(), [4 + 3, 8]);
    check(&[x], |x| features(tower.as_ref(), &x[0], Shown::Alone));
}

#[test]
fn a_picture_beside_others_is_padded_and_differentiable() {
    let tower = tower();
    for (height, width) in [(11, 18), (18, 11), (13, 13)] {
        let x = pixels(height, width);
        let tokens = features(tower.as_ref(), &x, Shown::Together).unwrap();
        assert_eq!(tokens.dims(), [5, 8]);
        check(&[x], |x| features(tower.as_ref(), &x[0], Shown::Together));
    }
}

#[test]
fn a_picture_thinner_than_a_patch_between_two_has_no_tiles() {
    let tower = tower();
    let tokens = features(tower.as_ref(), &pixels(6, 400), Shown::Alone).unwrap();
    assert_eq!(tokens.dims(), [4, 8]);
}

#[test]
fn the_padding_has_a_whole_level() {
    let tower = tower();
    let picture = Picture {
        pixels: pixels(4, 20).to_dtype(DType::F32).unwrap(),
        rounding: Rounding::EightBit,
    };
    let values = tower
        .pixel_values(&picture, Shown::Together)
        .unwrap()
        .values;
    assert_eq!(values.dims(), [1, 3, 13, 13]);
    let corner = values.i((0, .., 0, 0)).unwrap().to_vec1::<f32>().unwrap();
    // the mean's fraction of a level is dropped: 0.48 * 255 = 122.4
    let expected = [122.0 / 255.0, 117.0 / 255.0, 104.0 / 255.0];
    for (channel, (found, level)) in corner.into_iter().zip(expected).enumerate() {
        let (mean, std) = ([0.48, 0.46, 0.41][channel], [0.27, 0.26, 0.28][channel]);
        assert!((f64::from(found) - (level - mean) / std).abs() < 1e-6);
    }
}

#[test]
fn configs_that_npedit_does_not_have_are_refused() {
    for (pointer, key, value) in [
        ("", "vision_feature_layer", json!(-2)),
        ("", "vision_feature_select_strategy", json!("default")),
        ("", "vision_aspect_ratio", json!("square")),
        ("", "vision_aspect_ratio", json!("anyres_max_0")),
        ("", "image_grid_pinpoints", json!([[12, 13]])),
        ("", "image_grid_pinpoints", json!([])),
        ("", "multimodal_projector_bias", json!(false)),
        ("", "projector_hidden_act", json!("relu")),
        ("/vision_config", "num_attention_heads", json!(3)),
        ("/vision_config", "patch_size", json!(0)),
    ] {
        let mut config = config();
        config.pointer_mut(pointer).unwrap()[key] = value.clone();
        let (_dir, folder) = folder(&config);
        let error = load(&folder, &random_weights(3), &double()).err().unwrap();
        let LoadError::Config { key: named, .. } = &error else {
            panic!("{key} {value}: {error}")
        };
        assert!(named.ends_with(key), "{named} for {key}");
    }
}

#[test]
fn a_processor_of_another_model_is_refused() {
    let mut other = config();
    other["image_grid_pinpoints"] = json!([[13, 13]]);
    let (_dir, folder) = folder(&other);
    let error = load(&folder, &random_weights(3), &double()).err().unwrap();
    assert!(
        error.to_string().contains("preprocessor_config.json"),
        "{error}"
    );
}

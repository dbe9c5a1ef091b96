//! Our transformer and text encoder against candle-transformers' independent ones, where both do the same: no pad tokens.
#![allow(clippy::unwrap_used)]
use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::z_image::{
    TextEncoderConfig, ZImageTextEncoder,
    transformer::{Config as TheirConfig, ZImageTransformer2DModel},
};
use npedit::{
    models::{
        files::Files,
        qwen3::{self, TextEncoder},
        random::{self, Preset},
        weights::Weights,
        zimage::{Captions, Config, Transformer},
    },
    nn::Compute,
};
use tempfile::TempDir;

/// A bundle of random weights, in the patches that theirs knows.
fn bundle() -> (TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    random::write(dir.path(), Preset::Tiny, 0).unwrap();
    let files = Files::Directory(dir.path().into());
    (dir, files)
}

/// Tensors of a file of the bundle in `dir`, by name.
fn tensors(dir: &TempDir, file: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(dir.path().join(file), &Device::Cpu).unwrap()
}

/// Both transformers on the same weights.
fn both() -> (Transformer, ZImageTransformer2DModel) {
    let (dir, files) = bundle();
    let compute = Compute::cpu();
    let weights = Weights::safetensors(&files, "transformer").unwrap();
    let ours = Transformer::load(&Config::read(&files).unwrap(), weights, &compute).unwrap();
    let tensors = tensors(&dir, "transformer/diffusion_pytorch_model.safetensors");
    let config: TheirConfig =
        serde_json::from_slice(&files.read("transformer/config.json").unwrap()).unwrap();
    let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    (
        ours,
        ZImageTransformer2DModel::new(&config, builder).unwrap(),
    )
}

/// A smooth, varied tensor.
fn waves(shape: &[usize], frequency: f64) -> Tensor {
    let count = shape.iter().product::<usize>() as u32;
    let ramp = Tensor::arange(0u32, count, &Device::Cpu)
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap();
    ramp.affine(frequency, 0.3)
        .unwrap()
        .sin()
        .unwrap()
        .reshape(shape)
        .unwrap()
}

fn largest(tensor: &Tensor) -> f32 {
    tensor
        .abs()
        .unwrap()
        .flatten_all()
        .unwrap()
        .max(0)
        .unwrap()
        .to_scalar()
        .unwrap()
}

#[test]
fn the_plain_form_agrees() {
    let (ours, theirs) = both();
    let width = ours.config().cap_feat_dim;
    for (size, tokens, frequency) in [
        ([8, 16], 32, 0.37),
        ([16, 16], 64, 0.91),
        ([4, 32], 96, 1.7),
    ] {
        let latents = waves(&[2, 16, size[0], size[1]], frequency);
        let features = waves(&[2, tokens, width], 0.5 * frequency);
        let sigma = Tensor::new(&[0.8571f32, 0.2], &Device::Cpu).unwrap();
        let captions = Captions {
            features: features.clone(),
            lengths: vec![tokens; 2],
        };
        let velocity = ours.velocity(&latents, &sigma, &captions).unwrap();

        let time = sigma.affine(-1.0, 1.0).unwrap();
        let mask = Tensor::ones((2, tokens), DType::U8, &Device::Cpu).unwrap();
        let output = theirs
            .forward(&latents.unsqueeze(2).unwrap(), &time, &features, &mask)
            .unwrap();
        // theirs is the network's own sign, x0 - noise
        let expected = output.squeeze(2).unwrap().neg().unwrap();
        let deviation = largest(&(&velocity - &expected).unwrap()) / largest(&expected);
        assert!(
            deviation < 1e-5,
            "{size:?} with {tokens} caption tokens: {deviation}"
        );
        assert!(
            largest(&expected) > 0.1,
            "the comparison must have something to compare"
        );
    }
}

#[test]
fn the_text_encoders_agree() {
    let (dir, files) = bundle();
    let config = qwen3::Config::read(&files).unwrap();
    let weights = Weights::safetensors(&files, "text_encoder").unwrap();
    let ours = TextEncoder::load(&config, weights, &Compute::cpu()).unwrap();
    let mut tensors = tensors(&dir, "text_encoder/model.safetensors");
    if !tensors.contains_key("model.embed_tokens.weight") {
        let named = tensors.drain();
        tensors = named
            .map(|(name, tensor)| (format!("model.{name}"), tensor))
            .collect();
    }
    let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let json = files.read("text_encoder/config.json").unwrap();
    let config: TextEncoderConfig = serde_json::from_slice(&json).unwrap();
    let theirs = ZImageTextEncoder::new(&config, builder).unwrap();
    for length in [1, 7, 150, 512] {
        let ids: Vec<u32> = (0..length).map(|at| at * 31 % 200).collect();
        let expected = theirs
            .forward(
                &Tensor::new(&ids[..], &Device::Cpu)
                    .unwrap()
                    .unsqueeze(0)
                    .unwrap(),
            )
            .unwrap();
        let features = ours.encode(&ids).unwrap();
        let deviation = largest(&(&features - &expected).unwrap()) / largest(&expected);
        assert!(deviation < 1e-5, "{length} tokens: {deviation}");
    }
}

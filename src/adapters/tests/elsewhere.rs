//! Adapters as other programs write them.
use candle_core::{DType, Tensor};
use serde_json::json;

use super::sample::{file, tensor};
use crate::{
    adapters::{Adapter, Layout, Target, read, write},
    nn::Compute,
};

const A: [usize; 2] = [2, 5];
const B: [usize; 2] = [6, 2];

fn read_file(tensors: &[(&str, &[usize])], notes: &[(&str, &str)]) -> (Adapter, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    file(&path, tensors, notes);
    let found = read(&path).unwrap();
    (found.adapter, found.layout)
}

fn scales(adapter: &Adapter) -> Vec<f64> {
    let branches = adapter.branches(&Compute::cpu()).unwrap();
    branches.values().map(|lora| lora.scale).collect()
}

#[test]
fn one_adapter_has_one_id_under_every_prefix() {
    let expected = [
        (
            "transformer.m.lora_A.weight",
            "transformer.m.lora_B.weight",
            Layout::Diffusers,
        ),
        ("m.lora_A.weight", "m.lora_B.weight", Layout::Diffusers),
        (
            "diffusion_model.m.lora_A.weight",
            "diffusion_model.m.lora_B.weight",
            Layout::ComfyUi,
        ),
        (
            "diffusion_model.m.lora_down.weight",
            "diffusion_model.m.lora_up.weight",
            Layout::ComfyUi,
        ),
    ];
    let ids = expected.map(|(a, b, layout)| {
        let (adapter, found) = read_file(&[(a, &A), (b, &B)], &[]);
        assert_eq!(found, layout);
        // no alpha anywhere: as strong as its factors are
        assert_eq!(scales(&adapter), [1.0]);
        adapter.id().clone()
    });
    let dir = tempfile::tempdir().unwrap();
    for (prefix, at) in [
        ("base_model.model.", 0),
        ("base_model.model.transformer.", 1),
    ] {
        let dir = dir.path().join(at.to_string());
        std::fs::create_dir(&dir).unwrap();
        let [a, b] = ["A", "B"].map(|part| format!("{prefix}m.lora_{part}.weight"));
        file(
            &dir.join("adapter_model.safetensors"),
            &[(&a, &A), (&b, &B)],
            &[],
        );
        let settings = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 2});
        std::fs::write(dir.join("adapter_config.json"), settings.to_string()).unwrap();
        let found = read(&dir).unwrap();
        assert_eq!((found.adapter.id(), found.layout), (&ids[0], Layout::Peft));
    }
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn an_alpha_tensor_is_the_branchs_own() {
    let (mut tensors, dir) = (Vec::new(), tempfile::tempdir().unwrap());
    for (module, alpha) in [
        ("layers.0.attention.out", 0.5f32),
        ("layers.0.feed_forward.w1", 4.0),
    ] {
        let name = |rest: &str| format!("diffusion_model.{module}.{rest}");
        tensors.push((
            name("alpha"),
            Tensor::new(alpha, &candle_core::Device::Cpu).unwrap(),
        ));
        tensors.push((name("lora_down.weight"), tensor(1, (2, 5), DType::F16)));
        tensors.push((name("lora_up.weight"), tensor(2, (6, 2), DType::F16)));
    }
    let path = dir.path().join("comfy.safetensors");
    std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let adapter = read(&path).unwrap().adapter;
    assert_eq!(scales(&adapter), [0.25, 2.0]);
    assert!(adapter.pairs().contains_key("layers.0.attention.to_out.0"));
    for target in [Target::Diffusers, Target::Peft] {
        let written = write(&adapter, dir.path(), target).unwrap();
        assert_eq!(read(&written).unwrap().adapter.id(), adapter.id());
    }
}

#[test]
fn patterns_give_modules_their_own_rank_and_alpha() {
    let settings = json!({
        "transformer.r": 2, "transformer.lora_alpha": 4, "transformer.use_rslora": false,
        "transformer.rank_pattern": {"w2": 1}, "transformer.alpha_pattern": {"^b.w1": 8, "b\\.w2": 0.5},
        "text_encoder.r": 64,
    });
    let tensors: &[(&str, &[usize])] = &[
        ("transformer.a.b.w1.lora_A.weight", &A),
        ("transformer.a.b.w1.lora_B.weight", &B),
        ("transformer.a.w2.lora_A.weight", &[1, 5]),
        ("transformer.a.w2.lora_B.weight", &[6, 1]),
        ("transformer.b.w1.lora_A.weight", &A),
        ("transformer.b.w1.lora_B.weight", &B),
        ("transformer.b.w2.lora_A.weight", &[1, 5]),
        ("transformer.b.w2.lora_B.weight", &[6, 1]),
    ];
    let (adapter, _) = read_file(tensors, &[("lora_adapter_metadata", &settings.to_string())]);
    assert_eq!(scales(&adapter), [2.0, 4.0, 4.0, 0.5]);
}

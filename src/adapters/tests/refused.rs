//! Files that are no adapter, or none that npedit can apply.
use std::{collections::BTreeMap, fs, path::Path};

use candle_core::DType;
use serde_json::{Value, json};

use super::sample::{config, file, pair, small, tensor};
use crate::adapters::{Adapter, AdapterConfig, AdapterError, Pair, Scaling, Target, read, write};

const A: (&str, &[usize]) = ("transformer.m.lora_A.weight", &[2, 5]);
const B: (&str, &[usize]) = ("transformer.m.lora_B.weight", &[6, 2]);

fn refusal(path: &Path) -> (AdapterError, String) {
    let error = read(path).unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[track_caller]
fn refuses(tensors: &[(&str, &[usize])], notes: &[(&str, &str)], parts: &[&str]) -> AdapterError {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    file(&path, tensors, notes);
    let (error, text) = refusal(&path);
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    error
}

#[test]
fn half_a_pair_is_named_with_its_missing_half() {
    let error = refuses(&[A], &[], &["A of m", "without its B"]);
    assert!(matches!(error, AdapterError::HalfPair { missing: "B", .. }));
    refuses(&[B], &[], &["B of m", "without its A"]);
    let alone = ("transformer.n.alpha", [].as_slice());
    refuses(&[A, B, alone], &[], &["alpha of n", "without its A"]);
}

#[test]
fn factors_that_make_no_branch_are_refused() {
    let other = ("transformer.m.lora_B.weight", [6, 3].as_slice());
    let error = refuses(&[A, other], &[], &["[2, 5]", "[6, 3]", "same r"]);
    assert!(matches!(error, AdapterError::Ranks { .. }));
    let empty: [(&str, &[usize]); 2] = [(A.0, &[0, 5]), (B.0, &[6, 0])];
    refuses(&empty, &[], &["at least 1"]);
    let conv: [(&str, &[usize]); 2] = [(A.0, &[2, 5, 3, 3]), (B.0, &[6, 2, 1, 1])];
    refuses(&conv, &[], &["convolution", "linear layers alone"]);
    let vector: [(&str, &[usize]); 2] = [(A.0, &[10]), B];
    refuses(&vector, &[], &["[10]"]);
    for alpha in [0.0, f64::NAN, f64::INFINITY, 1e300, 1e-300] {
        let pairs = [(
            "m".to_owned(),
            Pair {
                alpha,
                ..pair(1, [6, 5], 2)
            },
        )];
        let error = Adapter::new(pairs.into(), config(Scaling::Standard)).unwrap_err();
        assert!(matches!(error, AdapterError::Alpha { .. }), "{error}");
    }
    let double = Pair {
        a: tensor(1, (2, 5), DType::F64),
        ..pair(1, [6, 5], 2)
    };
    let error = Adapter::new([("m".into(), double)].into(), config(Scaling::Standard)).unwrap_err();
    assert!(error.to_string().contains("F64"), "{error}");
    let none = Adapter::new(BTreeMap::new(), config(Scaling::Standard)).unwrap_err();
    assert!(matches!(none, AdapterError::Empty));
    for factor in [0.0, f64::NAN, f64::INFINITY, 1e60, 1e-60] {
        let error = small().scaled(factor).unwrap_err();
        assert!(matches!(error, AdapterError::Factor { .. }), "{error}");
    }
}

#[test]
fn tensors_of_other_kinds_are_named_with_what_helps() {
    for (name, parts) in [
        ("transformer.m.lora_magnitude_vector", ["DoRA", "merge"]),
        ("diffusion_model.m.dora_scale", ["DoRA", "merge"]),
        ("transformer.m.lora_B.bias", ["biases", "bias none"]),
        ("transformer.m.lokr_w1", ["LoKr", "LoRA"]),
        (
            "transformer.modules_to_save.m.weight",
            ["whole", "modules_to_save"],
        ),
        (
            "text_encoder.m.lora_A.weight",
            ["text encoder", "transformer alone"],
        ),
        ("transformer.m.weight", ["transformer.m.weight", "export"]),
        ("lora_unet_m.lora_A", ["lora_unet_m.lora_A", "export"]),
        (
            "diffusion_model.n.lora_A.weight",
            ["as comfyui does", "as diffusers does"],
        ),
        ("m.lora_A.weight", ["A of m", "twice"]),
    ] {
        refuses(&[A, B, (name, &[2, 5])], &[], &parts);
    }
    let error = refuses(
        &[("transformer.m.weight", &[6, 5])],
        &[],
        &["no adapter", "1 tensors"],
    );
    assert!(matches!(error, AdapterError::NotAnAdapter { .. }));
    let ids = [(
        "transformer.m.lora_A.weight".to_owned(),
        tensor(1, (2, 5), DType::U32),
    )];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let b = (B.0.to_owned(), tensor(1, (6, 2), DType::F32));
    fs::write(
        &path,
        safetensors::serialize(ids.into_iter().chain([b]), None).unwrap(),
    )
    .unwrap();
    assert!(refusal(&path).1.contains("U32, expected float32"));
}

#[test]
fn settings_that_npedit_cannot_follow_are_named() {
    let with = |key: &str, value: Value| {
        let mut settings = json!({"transformer.r": 2, "transformer.lora_alpha": 2});
        settings[format!("transformer.{key}")] = value;
        settings.to_string()
    };
    let metadata = |text: &str, parts: &[&str]| {
        refuses(&[A, B], &[("lora_adapter_metadata", text)], parts);
    };
    for (key, value, parts) in [
        ("r", json!(0), ["rank 2", "say 0"]),
        ("r", json!(4), ["rank 2", "say 4"]),
        ("r", json!(-1), ["r is -1", "whole number"]),
        ("r", Value::Null, ["r is null", "whole number"]),
        ("lora_alpha", json!(0), ["alpha is 0", "not 0"]),
        (
            "lora_alpha",
            json!("16"),
            ["lora_alpha is \"16\"", "a number"],
        ),
        ("rank_pattern", json!({"m": 3}), ["rank 2", "say 3"]),
        (
            "rank_pattern",
            json!([1]),
            ["rank_pattern is [1]", "by module name"],
        ),
        (
            "alpha_pattern",
            json!({"m": "x"}),
            ["alpha_pattern is \"x\"", "a number"],
        ),
        (
            "alpha_pattern",
            json!({"layers.[0-9]+": 1}),
            ["[0-9]+", "regular expression"],
        ),
        ("use_dora", json!(true), ["DoRA", "merge"]),
        ("bias", json!("all"), ["biases", "bias none"]),
        ("lora_bias", json!(true), ["biases", "lora_bias"]),
        (
            "modules_to_save",
            json!(["m"]),
            ["whole", "modules_to_save"],
        ),
        (
            "layer_replication",
            json!([[0, 1]]),
            ["replicated", "merge"],
        ),
        (
            "init_lora_weights",
            json!("pissa_niter_4"),
            ["pissa", "PEFT"],
        ),
        (
            "peft_type",
            json!("LOHA"),
            ["peft_type is \"LOHA\"", "LORA"],
        ),
    ] {
        metadata(&with(key, value), &parts);
    }
    metadata("{", &["x.safetensors", "JSON"]);
    metadata(
        r#"{"transformer.r": 2, "transformer.lora_alpha": NaN}"#,
        &["JSON"],
    );
    let alpha = ("transformer.m.alpha", [].as_slice());
    let settings = with("bias", json!("none"));
    let error = [("lora_adapter_metadata", settings.as_str())];
    refuses(&[A, B, alpha], &error, &["two strengths of m"]);
    refuses(
        &[A, B, ("transformer.m.alpha", &[2])],
        &[],
        &["m.alpha: alpha is NaN"],
    );
}

#[test]
fn cut_and_foreign_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&small(), dir.path(), Target::Diffusers).unwrap();
    let whole = fs::read(&path).unwrap();
    let cut = dir.path().join("cut.safetensors");
    for length in [0, 7, 8, 40, whole.len() / 2, whole.len() - 1] {
        fs::write(&cut, &whole[..length]).unwrap();
        let (error, text) = refusal(&cut);
        assert!(
            matches!(error, AdapterError::Safetensors { .. }),
            "{length}: {text}"
        );
        assert!(text.contains("copy or download it again"), "{text}");
    }
    fs::write(&cut, [&u64::MAX.to_le_bytes()[..], b"{}"].concat()).unwrap();
    assert!(refusal(&cut).1.contains("its header claims"));
    fs::write(dir.path().join("x.bin"), b"x").unwrap();
    assert!(
        refusal(&dir.path().join("x.bin"))
            .1
            .contains("does not end in .safetensors")
    );
    assert!(
        refusal(&dir.path().join("none"))
            .1
            .contains("check the path")
    );
}

#[test]
fn directories_hold_one_adapter() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refusal(dir.path()).1.contains("holds no .safetensors file"));
    file(&dir.path().join("a.safetensors"), &[A, B], &[]);
    read(dir.path()).unwrap();
    file(&dir.path().join("b.safetensors"), &[A, B], &[]);
    assert!(
        refusal(dir.path())
            .1
            .contains("2 .safetensors files; name one")
    );
    write(&small(), dir.path(), Target::Peft).unwrap();
    assert_eq!(read(dir.path()).unwrap().adapter.id(), small().id());
    write(&small(), dir.path(), Target::Diffusers).unwrap();
    assert!(
        refusal(dir.path())
            .1
            .contains("4 .safetensors files; name one")
    );
    fs::remove_file(dir.path().join("adapter_config.json")).unwrap();
    let (error, text) = refusal(&dir.path().join("adapter_model.safetensors"));
    assert!(matches!(error, AdapterError::Read { .. }), "{text}");
    assert!(text.contains("adapter_config.json"), "{text}");
}

#[test]
fn an_adapter_for_another_model_is_refused() {
    let mut shapes = BTreeMap::from([
        ("layers.0.attention.to_q".to_owned(), [6, 5]),
        ("layers.0.feed_forward.w2".to_owned(), [5, 8]),
    ]);
    small().check_shapes(&shapes).unwrap();
    shapes.insert("layers.0.feed_forward.w2".into(), [5, 9]);
    let text = small().check_shapes(&shapes).unwrap_err().to_string();
    assert!(
        text.contains("w2") && text.contains("[5, 8]") && text.contains("[5, 9]"),
        "{text}"
    );
    shapes.remove("layers.0.feed_forward.w2");
    let text = small().check_shapes(&shapes).unwrap_err().to_string();
    assert!(text.contains("does not have; use"), "{text}");
    shapes.insert("layers.0.feed_forward.w1".into(), [5, 8]);
    let text = small().check_shapes(&shapes).unwrap_err().to_string();
    assert!(
        text.contains("(nearest: layers.0.feed_forward.w1)"),
        "{text}"
    );

    let based = AdapterConfig {
        base: Some("aa11".into()),
        ..config(Scaling::Standard)
    };
    let based = Adapter::new(small().pairs().clone(), based).unwrap();
    based.check_base("aa11").unwrap();
    small().check_base("bb22").unwrap();
    let text = based.check_base("bb22").unwrap_err().to_string();
    assert!(text.contains("aa11") && text.contains("bb22"), "{text}");
}

#[test]
fn a_place_that_cannot_be_written_is_named_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let taken = dir.path().join("taken");
    fs::write(&taken, b"x").unwrap();
    let error = write(&small(), &taken, Target::Diffusers).unwrap_err();
    assert!(matches!(error, AdapterError::Write { .. }), "{error}");
    // a directory where the file should go: the move fails, the temporary file goes
    fs::create_dir_all(dir.path().join("d/pytorch_lora_weights.safetensors")).unwrap();
    write(&small(), &dir.path().join("d"), Target::Diffusers).unwrap_err();
    assert_eq!(fs::read_dir(dir.path().join("d")).unwrap().count(), 1);
}

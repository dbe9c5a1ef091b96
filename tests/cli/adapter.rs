//! `npedit adapter`, and edits with one.
use std::{fs, path::Path};

use npedit::{
    adapters::{self, Adapter, AdapterConfig, Pair, Scaling, Target},
    models::files::Files,
    pipelines::bundle::{BundleSource, GeneratorWeights},
};

use crate::process::npedit;

const STUDENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/golden/zi_a/student_lora"
);
const OTHER_BASE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Width of the built-in bundle's transformer.
const DIM: usize = 96;

fn adapter(module: &str, width: usize, base: Option<String>) -> Adapter {
    let ones = |shape: (usize, usize)| {
        let ones =
            candle_core::Tensor::ones(shape, candle_core::DType::F32, &candle_core::Device::Cpu);
        ones.unwrap()
    };
    let pair = Pair {
        a: ones((2, width)),
        b: ones((DIM, 2)),
        alpha: 1.0,
    };
    let config = AdapterConfig {
        scaling: Scaling::Standard,
        base,
    };
    Adapter::new([(module.to_owned(), pair)].into(), config).unwrap()
}

fn written(dir: &Path, name: &str, adapter: &Adapter) {
    adapters::write(adapter, &dir.join(name), Target::Peft).unwrap();
}

/// Of the built-in bundle's generator.
fn built_in() -> String {
    let source = BundleSource {
        name: "built-in".into(),
        files: Files::Embedded,
        generator: GeneratorWeights::Bundle,
    };
    source.generator_sha256().unwrap()
}

fn edit<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "edit",
        "photo.png",
        "make it winter",
        "-o",
        out,
        "--seed",
        "1",
    ];
    args.extend(more);
    args
}

fn dir_with_photo() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let photo = image::RgbImage::from_fn(48, 48, |x, y| image::Rgb([x as u8 * 5, y as u8 * 5, 90]));
    photo.save(dir.path().join("photo.png")).unwrap();
    dir
}

#[test]
fn an_adapter_changes_the_edit_as_strongly_as_asked() {
    let dir = dir_with_photo();
    let based = adapter("layers.0.attention.to_v", DIM, Some(built_in()));
    written(dir.path(), "mine", &based);
    let file = "mine/adapter_model.safetensors";
    for (out, more) in [
        ("plain.png", [].as_slice()),
        ("whole.png", &["--adapter", "mine"]),
        ("file.png", &["--adapter", file, "--adapter-scale", "1"]),
        ("half.png", &["--adapter", "mine", "--adapter-scale", "0.5"]),
        (
            "against.png",
            &["--adapter", "mine", "--adapter-scale", "-1"],
        ),
    ] {
        npedit(dir.path(), &edit(out, more)).succeeds();
    }
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert_eq!(read("whole.png"), read("file.png"));
    let different = ["plain.png", "whole.png", "half.png", "against.png"].map(read);
    for (at, picture) in different.iter().enumerate() {
        assert!(!different[..at].contains(picture), "{at}");
    }
}

#[test]
fn an_adapter_that_does_not_fit_is_refused() {
    let dir = dir_with_photo();
    for (name, adapter) in [
        (
            "based",
            adapter("layers.0.attention.to_v", DIM, Some(OTHER_BASE.into())),
        ),
        ("wide", adapter("layers.0.attention.to_v", DIM + 1, None)),
        ("named", adapter("layers.9.attention.to_v", DIM, None)),
    ] {
        written(dir.path(), name, &adapter);
    }
    let with = |adapter| npedit(dir.path(), &edit("out.png", &["--adapter", adapter]));
    with("based").fails_with(3, &["based", OTHER_BASE, &built_in()]);
    with("wide").fails_with(3, &["layers.0.attention.to_v", "[96, 97]", "[96, 96]"]);
    with("named").fails_with(
        3,
        &["layers.9.attention.to_v", "nearest: layers.", "trained on"],
    );
    with("none").fails_with(3, &["none", "check the path"]);
    with("photo.png").fails_with(3, &["photo.png", ".safetensors"]);
    let scaled = |scale| edit("out.png", &["--adapter", "wide", "--adapter-scale", scale]);
    npedit(dir.path(), &scaled("0")).fails_with(3, &["scaled by 0", "use no adapter"]);
    npedit(dir.path(), &scaled("NaN")).fails_with(3, &["scaled by NaN"]);
    npedit(dir.path(), &scaled("strong")).fails_with(2, &["--adapter-scale"]);
    npedit(dir.path(), &edit("out.png", &["--adapter-scale", "2"])).fails_with(2, &["--adapter"]);
    assert!(!dir.path().join("out.png").exists());
}

#[test]
fn an_adapter_is_shown_and_converted() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| npedit(dir.path(), &[&["adapter"], args].concat());
    let show = |path: &str| run(&["show", path]).succeeds();
    let before = show(STUDENT);
    for part in [
        "peft",
        "not said",
        "modules    49",
        "rank       4",
        "alpha      4",
        "f32",
    ] {
        assert!(before.contains(part), "no {part:?} in: {before}");
    }
    run(&["convert", STUDENT, "d", "--to", "diffusers"]).succeeds();
    run(&["convert", "d", "p", "--to", "peft"]).succeeds();
    assert_eq!(show("d"), before.replace("peft", "diffusers"));
    assert_eq!(show("d/pytorch_lora_weights.safetensors"), show("d"));
    assert_eq!(show("p"), before);

    run(&["convert", "d", "d", "--to", "peft"]).fails_with(2, &["d is not an empty directory"]);
    run(&["convert", "d", "e", "--to", "comfyui"]).fails_with(2, &["comfyui"]);
    run(&["show", "none"]).fails_with(2, &["none", "check the path"]);
    fs::write(dir.path().join("cut.safetensors"), b"cut").unwrap();
    run(&["show", "cut.safetensors"]).fails_with(2, &["cut.safetensors", "whole safetensors"]);
}

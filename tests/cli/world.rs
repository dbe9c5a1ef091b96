//! Scenes to play with, and what judges them.
use std::fs;

use npedit::{
    pipelines::image::ImageLimits,
    training::instruction_set::{BadPictures, InstructionSet},
};
use serde_json::Value;

use crate::process::npedit;

#[test]
fn a_sample_is_an_instruction_set_and_the_same_again() {
    let dir = tempfile::tempdir().unwrap();
    let sample = |name: &str| {
        let args = [
            "world", "sample", name, "--count", "5", "--seed", "3", "--size", "32",
        ];
        npedit(dir.path(), &args).succeeds();
    };
    sample("a");
    sample("b");
    let read = |set: &str, file: &str| fs::read(dir.path().join(set).join(file)).unwrap();
    for file in ["00000.png", "00004.png", "instructions.jsonl", "sheet.png"] {
        assert_eq!(read("a", file), read("b", file), "{file}");
    }
    assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 7);
    let list = dir.path().join("a/instructions.jsonl");
    let set = InstructionSet::read(&list, &ImageLimits::default(), BadPictures::Refuse).unwrap();
    assert_eq!(set.rows.len(), 5);
    assert!(set.rows.iter().all(|row| row.edited.is_none()));
    let picture = image::load_from_memory(&read("a", "00000.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (32, 32));
}

#[test]
fn a_sample_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine.txt"), "mine").unwrap();
    npedit(dir.path(), &["world", "sample", "."])
        .fails_with(2, &["not empty", "does not exist yet"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    npedit(dir.path(), &["world", "sample", "new", "--size", "8"]).fails_with(2, &["16..=512"]);
}

#[test]
fn controls_tell_right_from_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "world", "controls", "--scenes", "20", "--seed", "1", "--json",
    ];
    let report: Value = serde_json::from_str(&npedit(dir.path(), &args).succeeds()).unwrap();
    assert_eq!(report["scenes"], 20);
    let success = |control: &str| report["controls"][control]["success"]["mean"].as_f64();
    assert!(success("right").unwrap() > 0.9);
    assert!(success("no_op").unwrap() < 0.1);
    let right = &report["controls"]["right"];
    assert_eq!(right["by_type"].as_object().unwrap().len(), 7);
    assert_eq!(right["success"]["ci95"].as_array().unwrap().len(), 2);
}

/// Small enough to be trained in a test.
const RECIPES: [(&str, &str); 5] = [
    (
        "1-autoencoder.toml",
        "component = \"autoencoder\"\nsteps = 2\n[batch]\nsize = 1\n[scenes]\nside = 32\n",
    ),
    (
        "2-text-encoder.toml",
        "component = \"text_encoder\"\nsteps = 2\n[batch]\nsize = 2\n",
    ),
    (
        "3-teacher.toml",
        "stage = \"text_to_image\"\nsteps = 2\n[model]\nreference = \"bundle\"\n[data]\nrows = \"scenes/captions.jsonl\"\n[batch]\nsize = 2\n[tuning]\nkind = \"full\"\n[samples]\nrows = 1\n",
    ),
    (
        "4-judge.toml",
        "component = \"judge\"\nsteps = 2\n[batch]\nsize = 2\n[optimiser]\nmuon_modules = \"layers\"\n",
    ),
    (
        "5-judge.toml",
        "component = \"judge\"\nsteps = 2\n[batch]\nsize = 1\n[labelled]\nlist = \"attempts/pairs.jsonl\"\nsize = 1\nattempts = 3\n",
    ),
];

#[test]
fn a_bundle_is_built_part_by_part_and_the_same_again() {
    let dir = tempfile::tempdir().unwrap();
    let build = |name: &str| {
        let place = dir.path().join(name);
        std::fs::create_dir(&place).unwrap();
        for (file, text) in RECIPES {
            std::fs::write(place.join(file), text).unwrap();
        }
        if name == "two" {
            // what a build leaves that was stopped among the attempts
            std::fs::create_dir(place.join("attempts")).unwrap();
            std::fs::write(place.join("attempts/00000-after.png"), "half").unwrap();
        }
        npedit(dir.path(), &["world", "build", name, "--scenes", "64"]).succeeds();
        place.join("bundle")
    };
    let bundle = build("one");
    let again = npedit(dir.path(), &["world", "build", "one", "--scenes", "64"]);
    assert!(!again.stderr.contains("autoencoder"), "{}", again.stderr);
    again.succeeds();
    let same = build("two");
    for file in [
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "judge/model.safetensors",
        "teacher/diffusion_pytorch_model.safetensors",
        "transformer/diffusion_pytorch_model.safetensors",
    ] {
        let read = |bundle: &std::path::Path| std::fs::read(bundle.join(file)).unwrap();
        assert!(read(&bundle) == read(&same), "{file}");
    }
    let lines = |set: &str| -> Vec<String> {
        let text = fs::read_to_string(dir.path().join("one/scenes").join(set)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let (edits, choices) = (lines("edits.jsonl"), lines("choices.jsonl"));
    assert!(choices.iter().all(|line| edits.contains(line)));
    let of_two = |line: &&String| line.contains(" and ");
    assert!(choices.iter().filter(of_two).count() >= edits.iter().filter(of_two).count());
    assert!((32..60).contains(&choices.len()), "{} of 64", choices.len());
    npedit(
        dir.path(),
        &["world", "pack", "one", "packed", "--scenes", "1"],
    )
    .succeeds();
    let size = |path: &str| fs::metadata(dir.path().join(path)).unwrap().len();
    let weights = "transformer/diffusion_pytorch_model.safetensors";
    let (whole, half) = (
        size(&format!("one/bundle/{weights}")),
        size(&format!("packed/{weights}")),
    );
    assert!(half * 2 < whole + 100_000, "{half} of {whole}");
    let card = fs::read_to_string(dir.path().join("packed/README.md")).unwrap();
    for line in [
        "license: apache-2.0",
        "| 4-judge.toml | judge | 2 | 2 |",
        "| **trained types** | 1 |",
        "| wrong object |",
    ] {
        assert!(card.contains(line), "{line} in {card}");
    }
    let check = ["world", "judge-check", "one/bundle/judge", "--scenes", "1"];
    let report: Value = serde_json::from_str(&npedit(dir.path(), &check).succeeds()).unwrap();
    let accuracy = &report["balanced_accuracy"];
    assert_eq!(accuracy["by_type"].as_object().unwrap().len(), 7);
    assert_eq!(accuracy["by_kind"].as_object().unwrap().len(), 8);
    assert!(accuracy["all"]["mean"].is_number());
    let report = npedit(
        dir.path(),
        &["judge-check", "one/attempts", "--model", "one/bundle"],
    );
    let report: Value = serde_json::from_str(&report.succeeds()).unwrap();
    assert!(report["rows"].as_u64().unwrap() >= 3, "{report}");
    let edit = [
        "edit",
        "one/scenes/edits/00000-image.png",
        "make the circle blue",
        "--model",
        "one/bundle",
        "--output",
        "edited.png",
    ];
    npedit(dir.path(), &edit).succeeds();
    assert!(dir.path().join("edited.png").is_file());
}

#[test]
fn a_recipe_of_a_part_is_checked_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("one")).unwrap();
    let recipe = "component = \"autoencoder\"\nstep = 2\n[batch]\nsize = 0\n";
    std::fs::write(dir.path().join("one/1-part.toml"), recipe).unwrap();
    let build = npedit(dir.path(), &["world", "build", "one", "--scenes", "64"]);
    build.fails_with(2, &["step", "batch.size", "from 1 to 4096"]);
}

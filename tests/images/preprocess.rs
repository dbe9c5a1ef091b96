//! The reference's own preprocessing, from its recorded inputs and outputs.
use npedit::pipelines::image::{ImageLimits, Preprocess, decode, model_size, resize_lanczos};
use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn variants(dir: &Path, found: &mut Vec<PathBuf>) {
    if dir.join("cases.json").is_file() {
        found.push(dir.to_path_buf());
    }
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            variants(&path, found);
        }
    }
}

#[test]
fn edit_inputs_are_the_recorded_bytes() {
    let dir = env::var_os("NPEDIT_GOLDEN_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
        PathBuf::from,
    );
    let mut found = Vec::new();
    variants(&dir, &mut found);
    let mut compared = 0;
    for variant in found {
        let cases = fs::read_to_string(variant.join("cases.json")).unwrap();
        let cases: Value = serde_json::from_str(&cases).unwrap();
        for case in cases["edit"].as_array().unwrap() {
            let resolution = case["resolution"].as_u64().unwrap() as u32;
            let inputs = case["images"].as_array().unwrap();
            let Some(outputs) = case["expected"]["preprocessed_pngs"].as_array() else {
                continue; // a family with another preprocessing
            };
            for (input, output) in inputs.iter().zip(outputs) {
                let read = |name: &Value| {
                    let file = fs::read(variant.join(name.as_str().unwrap())).unwrap();
                    decode(&file, &ImageLimits::default()).unwrap().rgb
                };
                let (input, expected) = (read(input), read(output));
                let rule = Preprocess::Reference { resolution };
                let size = model_size(input.width(), input.height(), &rule).unwrap();
                assert_eq!(size, expected.dimensions());
                assert!(
                    resize_lanczos(&input, size) == expected,
                    "{variant:?} {}",
                    case["id"]
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 0, "no cases.json under {}", dir.display());
}

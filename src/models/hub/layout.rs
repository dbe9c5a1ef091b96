//! Which files of a repository make a bundle in diffusers layout.
use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::models::source::is_word;

const INDEX: &str = "model_index.json";
const SETTINGS: &str = crate::models::bundle::FILE_NAME;
const WEIGHTS: &str = ".safetensors";
const SHARD_INDEX: &str = ".safetensors.index.json";
const TOKENIZER: &str = "tokenizer";
const SCHEDULER: &str = "scheduler";
const TOKENIZER_FILES: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
];
/// Components of a repository without a `model_index.json`.
const COMPONENTS: &[&str] = &["transformer", "text_encoder", TOKENIZER, "vae"];

/// Whether a bundle uses this file of a repository: never code, pickles or pictures.
pub(super) fn is_needed(path: &str) -> bool {
    if !path.split('/').all(is_word) {
        return false;
    }
    match path.split('/').collect::<Vec<_>>()[..] {
        [file] => file == INDEX || file == SETTINGS,
        [SCHEDULER, file] => file == "scheduler_config.json",
        [_, file] => {
            file == "config.json"
                || TOKENIZER_FILES.contains(&file)
                || file.ends_with(WEIGHTS)
                || file.ends_with(SHARD_INDEX)
        }
        _ => false,
    }
}

/// Needed files that the directory lacks; empty for a complete bundle.
pub(super) fn missing(dir: &Path) -> Vec<String> {
    let mut missing = BTreeSet::new();
    for component in components(dir) {
        if component.starts_with(SCHEDULER) {
            continue;
        }
        if component.starts_with(TOKENIZER) {
            require(dir, format!("{component}/tokenizer.json"), &mut missing);
            continue;
        }
        require(dir, format!("{component}/config.json"), &mut missing);
        require_weights(dir, &component, &mut missing);
    }
    missing.into_iter().collect()
}

/// Components named by `model_index.json`: keys whose value is `[library, class]`.
fn components(dir: &Path) -> Vec<String> {
    let index = fs::read(dir.join(INDEX))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let Some(Value::Object(index)) = index else {
        return COMPONENTS.iter().map(|name| (*name).to_owned()).collect();
    };
    let is_component = |value: &Value| {
        value
            .as_array()
            .is_some_and(|pair| pair.iter().all(Value::is_string))
    };
    index
        .into_iter()
        .filter(|(_, value)| is_component(value))
        .map(|(name, _)| name)
        .collect()
}

fn require(dir: &Path, file: String, missing: &mut BTreeSet<String>) {
    if !dir.join(&file).is_file() {
        missing.insert(file);
    }
}

/// Every shard that an index names, or at least one weight file.
fn require_weights(dir: &Path, component: &str, missing: &mut BTreeSet<String>) {
    let names: Vec<String> = fs::read_dir(dir.join(component))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let indexes: Vec<&String> = names
        .iter()
        .filter(|name| name.ends_with(SHARD_INDEX))
        .collect();
    if indexes.is_empty() && !names.iter().any(|name| name.ends_with(WEIGHTS)) {
        missing.insert(format!("{component}/*{WEIGHTS}"));
    }
    for index in indexes {
        let path = dir.join(component).join(index);
        let parsed = fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let Some(shards) = parsed
            .as_ref()
            .and_then(|index| index.get("weight_map")?.as_object())
        else {
            missing.insert(format!("{component}/{index} (unreadable)"));
            continue;
        };
        for shard in shards.values().filter_map(Value::as_str) {
            require(dir, format!("{component}/{shard}"), missing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_a_bundle_are_needed() {
        for path in [
            "model_index.json",
            "npedit.json",
            "transformer/config.json",
            "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
            "text_encoder/model.safetensors.index.json",
            "tokenizer/tokenizer.json",
            "tokenizer/merges.txt",
            "scheduler/scheduler_config.json",
        ] {
            assert!(is_needed(path), "{path}");
        }
        for path in [
            "README.md",
            "pipeline.py",
            "transformer/model.py",
            "vae/diffusion_pytorch_model.bin",
            "assets/a.png",
            "model.safetensors",
            "weights.pt",
            "a/b/config.json",
            "../config.json",
            "/config.json",
            ".gitattributes",
        ] {
            assert!(!is_needed(path), "{path}");
        }
    }

    #[test]
    fn missing_shards_configs_and_tokenizers_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            INDEX,
            r#"{"_class_name": "ZImagePipeline", "scheduler": ["d", "S"], "transformer": ["d", "T"],
                "tokenizer": ["t", "Q"], "vae": ["d", "V"], "safety": [null, null]}"#,
        );
        assert_eq!(
            missing(dir.path()),
            [
                "tokenizer/tokenizer.json",
                "transformer/*.safetensors",
                "transformer/config.json",
                "vae/*.safetensors",
                "vae/config.json"
            ]
        );
        for path in [
            "tokenizer/tokenizer.json",
            "transformer/config.json",
            "vae/config.json",
            "vae/m.safetensors",
        ] {
            write(path, "{}");
        }
        write(
            "transformer/m.safetensors.index.json",
            r#"{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}"#,
        );
        write("transformer/m-1.safetensors", "");
        assert_eq!(missing(dir.path()), ["transformer/m-2.safetensors"]);
        write("transformer/m-2.safetensors", "");
        assert!(missing(dir.path()).is_empty());
    }
}

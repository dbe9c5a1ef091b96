//! Which files of a repository make a bundle in diffusers layout, or one model.
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

const CONFIG: &str = "config.json";
/// What a model of transformers may hold beside its weights; those that every judge has come first.
const MODEL_FILES: [&str; 9] = [
    CONFIG,
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "processor_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "questions.toml",
    "model.safetensors.index.json",
];
const EVERY_MODEL: usize = 4;
const MODEL_WEIGHTS: &str = "model";

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Several models in diffusers layout.
    Bundle,
    /// One model of transformers: its files lie at the root.
    Model,
}

impl Layout {
    /// What the repository with these files is.
    pub(super) fn of(has: impl Fn(&str) -> bool) -> Self {
        if has(CONFIG) && !has(INDEX) {
            Self::Model
        } else {
            Self::Bundle
        }
    }

    /// Whether it uses this file of the repository: never code, pickles or pictures.
    pub(super) fn needs(self, path: &str) -> bool {
        match self {
            Self::Bundle => is_of_bundle(path),
            Self::Model => {
                let weights = path.starts_with(MODEL_WEIGHTS) && path.ends_with(WEIGHTS);
                is_word(path) && (weights || MODEL_FILES.contains(&path))
            }
        }
    }

    /// Needed files that the directory lacks; empty where it is complete.
    pub(super) fn missing(self, dir: &Path) -> Vec<String> {
        let mut missing = BTreeSet::new();
        match self {
            Self::Bundle => require_components(dir, &mut missing),
            Self::Model => {
                for file in &MODEL_FILES[..EVERY_MODEL] {
                    require(dir, (*file).to_owned(), &mut missing);
                }
                require_weights(dir, "", &mut missing);
            }
        }
        missing.into_iter().collect()
    }
}

/// Whether the file is one of weights, the last that a directory needs to be complete.
pub(super) fn is_weights(path: &str) -> bool {
    path.ends_with(WEIGHTS)
}

fn is_of_bundle(path: &str) -> bool {
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

fn require_components(dir: &Path, missing: &mut BTreeSet<String>) {
    for component in components(dir) {
        if component.starts_with(SCHEDULER) {
            continue;
        }
        if component.starts_with(TOKENIZER) {
            require(dir, format!("{component}/tokenizer.json"), missing);
            continue;
        }
        require(dir, format!("{component}/{CONFIG}"), missing);
        require_weights(dir, &format!("{component}/"), missing);
    }
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

/// Every shard that an index names, or at least one weight file. `below` is empty or ends with a slash.
fn require_weights(dir: &Path, below: &str, missing: &mut BTreeSet<String>) {
    let names: Vec<String> = fs::read_dir(dir.join(below))
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
        missing.insert(format!("{below}*{WEIGHTS}"));
    }
    for index in indexes {
        let path = dir.join(below).join(index);
        let parsed = fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let Some(shards) = parsed
            .as_ref()
            .and_then(|index| index.get("weight_map")?.as_object())
        else {
            missing.insert(format!("{below}{index} (unreadable)"));
            continue;
        };
        for shard in shards.values().filter_map(Value::as_str) {
            require(dir, format!("{below}{shard}"), missing);
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
            assert!(Layout::Bundle.needs(path), "{path}");
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
            assert!(!Layout::Bundle.needs(path), "{path}");
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
            Layout::Bundle.missing(dir.path()),
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
        assert_eq!(
            Layout::Bundle.missing(dir.path()),
            ["transformer/m-2.safetensors"]
        );
        write("transformer/m-2.safetensors", "");
        assert!(Layout::Bundle.missing(dir.path()).is_empty());
    }

    #[test]
    fn one_model_lies_at_the_root() {
        let files = ["config.json", "tokenizer.json"];
        assert_eq!(Layout::of(|file| files.contains(&file)), Layout::Model);
        assert_eq!(Layout::of(|_| true), Layout::Bundle);
        assert_eq!(Layout::of(|_| false), Layout::Bundle);
        for path in [
            "config.json",
            "chat_template.jinja",
            "model.safetensors",
            "model-00001-of-00002.safetensors",
            "model.safetensors.index.json",
        ] {
            assert!(Layout::Model.needs(path), "{path}");
        }
        for path in [
            "README.md",
            "modeling.py",
            "pytorch_model.bin",
            "consolidated.safetensors",
            "onnx/config.json",
            "../model.safetensors",
        ] {
            assert!(!Layout::Model.needs(path), "{path}");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), "{}").unwrap();
        assert_eq!(
            Layout::Model.missing(dir.path()),
            [
                "*.safetensors",
                "preprocessor_config.json",
                "tokenizer.json",
                "tokenizer_config.json"
            ]
        );
    }
}

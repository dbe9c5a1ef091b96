//! Rows, a picture and a recipe in a directory of their own.
use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Run, npedit};

/// The smallest run that has everything: replay, "do nothing.", a fake score, checkpoints on the way.
pub const RECIPE: &str = r#"
steps = 4
[data]
rows = "rows.jsonl"
replay = "replay.jsonl"
replay_share = 0.3
do_nothing_share = 0.3
[batch]
size = 3
micro = 2
[tuning]
rank = 2
[fake_score]
updates = 1
rank = 2
learning_rate = 1e-3
[optimiser]
learning_rate = 1e-2
ema_decay = 0.5
[checkpoint]
every = 1
[samples]
every = 2
rows = 1
"#;

pub const ROWS: &str = r#"{"image":"a.png","instruction":"make it red","edited_caption":"a red thing","source_caption":"a thing","edit_type":"color","edited":"b.png"}
{"image":"b.png","instruction":"remove the cat","edited_caption":"a room","source_caption":"a cat","edit_type":"remove","object":"cat","edited":"a.png"}
"#;

pub struct Workplace {
    dir: TempDir,
}

impl Workplace {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, shade) in [("a.png", 40), ("b.png", 200)] {
            let picture = image::RgbImage::from_fn(64, 64, |x, y| {
                image::Rgb([shade, (x * 4) as u8, (y * 4) as u8])
            });
            picture.save(dir.path().join(name)).unwrap();
        }
        let place = Self { dir };
        place.write("recipe.toml", RECIPE);
        place.write("rows.jsonl", ROWS);
        place.write(
            "replay.jsonl",
            "{\"image\":\"b.png\",\"instruction\":\"make it blue\"}\n",
        );
        place
    }

    /// With these lines of the recipe replaced.
    pub fn with(changes: &[(&str, &str)]) -> Self {
        let place = Self::new();
        let mut recipe = RECIPE.to_owned();
        for (from, to) in changes {
            assert!(recipe.contains(from), "{from}");
            recipe = recipe.replacen(from, to, 1);
        }
        place.write("recipe.toml", &recipe);
        place
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    pub fn train(&self, more: &[&str]) -> Run {
        npedit(
            self.path(),
            &[&["train", "recipe.toml", "--out", "out"], more].concat(),
        )
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.path().join("out").join(name)
    }

    pub fn adapter(&self) -> Vec<u8> {
        fs::read(self.out("adapter/pytorch_lora_weights.safetensors")).unwrap()
    }

    /// Every line of `metrics.jsonl`, without what depends on the clock.
    pub fn metrics(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.out("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            for clocked in ["wall_secs", "samples_per_sec"] {
                line.as_object_mut().unwrap().remove(clocked);
            }
            line
        });
        lines.collect()
    }
}

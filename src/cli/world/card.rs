//! The model card of the tiny bundle.
use std::{fmt::Write, fs, path::Path};

use serde_json::Value;

use super::{
    eval_report, judge as judge_check,
    trials::{ByType, Trials},
};
use crate::{
    cli::error::{CliError, Unusable},
    models::files::{JUDGE, file_sha256},
    world::{Controls, EditType, Share, Tally},
};

/// What a packed bundle was found to do.
pub(super) struct Measured {
    pub trials: Trials,
    pub editor: ByType,
    pub judge: Controls,
}

/// Weights of the bundle: folder, file, what it is.
const PARTS: [[&str; 3]; 5] = [
    [
        "vae",
        "diffusion_pytorch_model.safetensors",
        "autoencoder (`AutoencoderKL`)",
    ],
    ["text_encoder", "model.safetensors", "text encoder (Qwen3)"],
    [
        "teacher",
        "diffusion_pytorch_model.safetensors",
        "text-to-image teacher (Z-Image transformer)",
    ],
    [
        "transformer",
        "diffusion_pytorch_model.safetensors",
        "editor (Z-Image transformer)",
    ],
    [JUDGE, "model.safetensors", "judge (InternVL)"],
];

const ABOUT: &str = "\
---
license: apache-2.0
library_name: npedit
pipeline_tag: image-to-image
---

# npedit tiny

A complete bundle at toy size: editor, teacher, text encoder, autoencoder and judge, in the classes and files of the real ones. All
of it was trained from scratch by npedit itself, on scenes that npedit draws. It shows what the service does on a laptop; it
knows no photos.

The editor was trained **without before/after pairs**: by the judge's answers and by distribution matching against the teacher
(NP-Edit, arXiv 2510.14978). The judge saw rendered pairs as yes/no questions, since it stands in for a general
vision-language model; the editor never saw one.
";

const LIMITS: &str = "\
## Limits

- Pictures are edited at 64 x 64 pixels, one or two flat shapes on a background; anything else comes out as what it knows.
- It knows the words of its scenes alone (`npedit world sample DIR` draws examples); others are answered with a warning.
- The judge knows these scenes alone; its scores of photos mean nothing.
- Styles and sizes are left out of the editor's training on purpose: they are there to be learnt.
";

/// The card of the bundle in `out`, which was built in `dir`.
pub(super) fn text(dir: &Path, out: &Path, measured: &Measured) -> Result<String, CliError> {
    let mut card = ABOUT.to_owned();
    made(&mut card, dir)?;
    weights(&mut card, out)?;
    quality(&mut card, measured);
    card += "\n";
    card += LIMITS;
    Ok(card)
}

/// Every recipe, in order.
fn made(card: &mut String, dir: &Path) -> Result<(), CliError> {
    *card += "\n## How it was made\n\n`npedit world build DIR` with these recipes in this order, then `npedit world pack DIR OUT`. On the CPU the same recipes give the same bytes; those whose names end in `-gpu` ran on a GPU, where they do not.\n\n";
    *card += "| recipe | trains | steps | batch | seed |\n|---|---|---|---|---|\n";
    let unreadable = |source| Unusable::Input {
        path: dir.to_owned(),
        source,
    };
    let mut recipes = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            recipes.push(path);
        }
    }
    recipes.sort();
    for path in recipes {
        let text = fs::read_to_string(&path).map_err(unreadable)?;
        let recipe: toml::Table = toml::from_str(&text).unwrap_or_default();
        let said = |key: &str| {
            recipe
                .get(key)
                .map_or("default".into(), toml::Value::to_string)
        };
        let part = recipe.get("component").or(recipe.get("stage"));
        let batch = recipe.get("batch").and_then(|batch| batch.get("size"));
        let _ = writeln!(
            card,
            "| {} | {} | {} | {} | {} |",
            path.file_name().unwrap_or_default().display(),
            part.and_then(toml::Value::as_str).unwrap_or_default(),
            said("steps"),
            batch.map_or("default".into(), toml::Value::to_string),
            said("seed"),
        );
    }
    Ok(())
}

fn weights(card: &mut String, out: &Path) -> Result<(), CliError> {
    *card += "\n| weights (float16) | SHA-256 | bytes |\n|---|---|---|\n";
    for [folder, file, what] in PARTS {
        let path = out.join(folder).join(file);
        let unreadable = |source| Unusable::Input {
            path: path.clone(),
            source,
        };
        let bytes = fs::metadata(&path).map_err(unreadable)?.len();
        let hash = file_sha256(&path)?;
        let _ = writeln!(card, "| {what} | `{hash}` | {bytes} |");
    }
    Ok(())
}

fn quality(card: &mut String, measured: &Measured) {
    let Trials {
        scenes,
        seed,
        steps,
    } = measured.trials;
    let _ = write!(
        card,
        "\n## What it can do\n\nThe editor in {steps} steps on scenes it was not trained on, by an oracle that reads pixels \
        (`npedit world eval --scenes {scenes} --seed {seed}`). In per cent, with 95 % intervals; success is both done and kept. \
        The last two types were held out of its training.\n\n\
        | type | edits | success | done | kept |\n|---|---|---|---|---|\n"
    );
    let row = |card: &mut String, name: &str, tally: Tally| {
        let share = |count| shown(tally.share(count));
        let [success, done, kept] = [tally.success, tally.done, tally.kept].map(share);
        let _ = writeln!(
            card,
            "| {name} | {} | {success} | {done} | {kept} |",
            tally.attempts
        );
    };
    row(
        card,
        "**trained types**",
        eval_report::trained(&measured.editor).tally,
    );
    for kind in EditType::ALL {
        let tally = measured
            .editor
            .get(&kind)
            .map_or_else(Tally::default, |found| found.tally);
        row(card, kind.name(), tally);
    }
    let _ = write!(
        card,
        "\nThe judge, asked about right and wrong edits (`npedit world judge-check {JUDGE} --scenes {} --seed {seed}`): \
        balanced accuracy of its two answers.\n\n| about | balanced accuracy |\n|---|---|\n",
        scenes.div_ceil(4),
    );
    let balanced = judge_check::balanced(&measured.judge);
    let share = |value: &Value| {
        let number = |value: &Value| value.as_f64().unwrap_or_default();
        let ci95 = [0, 1].map(|end| number(&value["ci95"][end]));
        shown(Share {
            mean: number(&value["mean"]),
            ci95,
        })
    };
    let _ = writeln!(card, "| **all** | {} |", share(&balanced["all"]));
    for group in ["by_type", "by_kind"] {
        for (name, value) in balanced[group].as_object().into_iter().flatten() {
            let _ = writeln!(card, "| {} | {} |", name.replace('_', " "), share(value));
        }
    }
}

fn shown(
    Share {
        mean,
        ci95: [low, high],
    }: Share,
) -> String {
    let [mean, low, high] = [mean, low, high].map(|share| 100.0 * share);
    format!("{mean:.1} ({low:.1}-{high:.1})")
}

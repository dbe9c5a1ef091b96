//! What the tensors of an adapter file are called.
use std::path::Path;

use super::{AdapterError, Layout};

/// What one tensor is to its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    A,
    B,
    Alpha,
}

impl Part {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::Alpha => "alpha",
        }
    }
}

/// The name of one tensor, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub layout: Layout,
    /// As in the base's checkpoint.
    pub module: String,
    /// As the program that wrote the file names the module inside its own model: what its settings' patterns speak of.
    pub inside: String,
    pub part: Part,
}

const ENDINGS: [(&str, Part); 5] = [
    (".lora_A.weight", Part::A),
    (".lora_down.weight", Part::A),
    (".lora_B.weight", Part::B),
    (".lora_up.weight", Part::B),
    (".alpha", Part::Alpha),
];

/// Marks of what is not applied, what it is, and what helps.
const UNSUPPORTED: [(&str, &str, &str); 7] = [
    ("lora_magnitude_vector", "DoRA magnitudes", MERGE),
    ("dora_scale", "DoRA magnitudes", MERGE),
    (".lokr_", "LoKr factors", "train a LoRA"),
    (".hada_", "LoHa factors", "train a LoRA"),
    (".bias", "trained biases", "train with bias none"),
    (
        ".modules_to_save.",
        "whole trained modules",
        "train without modules_to_save",
    ),
    (
        "text_encoder",
        "branches for the text encoder",
        "train the transformer alone",
    ),
];

pub(super) const MERGE: &str = "merge it into its base with PEFT, and use the merged weights";

impl Name {
    pub(super) fn parse(name: &str, file: &Path) -> Result<Self, AdapterError> {
        if let Some((_, feature, advice)) =
            UNSUPPORTED.iter().find(|(mark, ..)| name.contains(mark))
        {
            return Err(AdapterError::Unsupported {
                feature: format!("{feature} ({name})"),
                advice,
            });
        }
        let ending = ENDINGS
            .iter()
            .find_map(|(ending, part)| Some((name.strip_suffix(ending)?, *part)));
        let (stem, part) = ending.filter(|(stem, _)| !stem.is_empty()).ok_or_else(|| {
            AdapterError::UnknownTensor {
                file: file.into(),
                tensor: name.into(),
            }
        })?;
        Ok(Self::of(stem, part))
    }

    fn of(stem: &str, part: Part) -> Self {
        let named = |layout, module: &str, inside: &str| Self {
            layout,
            module: module.into(),
            inside: inside.into(),
            part,
        };
        if let Some(inside) = stem.strip_prefix("base_model.model.") {
            return named(Layout::Peft, below_transformer(inside), inside);
        }
        match stem.strip_prefix("diffusion_model.") {
            Some(module) => {
                let module = diffusers_name(module);
                named(Layout::ComfyUi, &module, &module)
            }
            None => {
                let module = below_transformer(stem);
                named(Layout::Diffusers, module, module)
            }
        }
    }
}

fn below_transformer(name: &str) -> &str {
    name.strip_prefix("transformer.").unwrap_or(name)
}

/// The released single-file checkpoints call one layer otherwise (diffusers `_convert_non_diffusers_z_image_lora_to_diffusers`).
fn diffusers_name(module: &str) -> String {
    match module.strip_suffix(".attention.out") {
        Some(block) => format!("{block}.attention.to_out.0"),
        None => module.into(),
    }
}

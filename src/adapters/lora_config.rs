//! Settings that PEFT's `LoraConfig` and diffusers' metadata share.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{Adapter, AdapterError, Scaling, names::MERGE};

/// Keys whose use changes what a branch computes, what that is, and what helps.
const UNSUPPORTED: [(&str, &str, &str); 11] = [
    ("use_dora", "DoRA", MERGE),
    ("bias", "trained biases", "train with bias none"),
    (
        "lora_bias",
        "biases of its branches",
        "train without lora_bias",
    ),
    (
        "modules_to_save",
        "whole trained modules",
        "train without modules_to_save",
    ),
    ("layer_replication", "replicated layers", MERGE),
    (
        "target_parameters",
        "branches of bare parameters",
        "train the linear layers alone",
    ),
    (
        "trainable_token_indices",
        "trained tokens",
        "train the linear layers alone",
    ),
    (
        "alora_invocation_tokens",
        "invocation tokens",
        "train a plain LoRA",
    ),
    ("use_qalora", "QALoRA", MERGE),
    ("use_bdlora", "block-diagonal factors", MERGE),
    ("arrow_config", "Arrow routing", "train a plain LoRA"),
];

/// Values of `init_lora_weights` that alter the base as well.
const ALTERS_BASE: [&str; 5] = ["pissa", "olora", "loftq", "corda", "lora_ga"];

/// Rank and strength of every module.
#[derive(Debug)]
pub(super) struct LoraConfig {
    file: PathBuf,
    rank: u64,
    alpha: f64,
    /// The first that fits a module counts.
    ranks: Vec<(String, u64)>,
    alphas: Vec<(String, f64)>,
    pub scaling: Scaling,
}

impl LoraConfig {
    pub(super) fn parse(settings: &Map<String, Value>, file: &Path) -> Result<Self, AdapterError> {
        let read = Reading { settings, file };
        read.refuse_unsupported()?;
        Ok(Self {
            file: file.into(),
            rank: read.value("r", WHOLE, Value::as_u64)?,
            alpha: read.value("lora_alpha", NUMBER, Value::as_f64)?,
            ranks: read.pattern("rank_pattern", WHOLE, Value::as_u64)?,
            alphas: read.pattern("alpha_pattern", NUMBER, Value::as_f64)?,
            scaling: match settings.get("use_rslora") {
                Some(Value::Bool(true)) => Scaling::RankStabilised,
                _ => Scaling::Standard,
            },
        })
    }

    /// Alpha of the module called `inside`, whose tensors have rank `found`.
    pub(super) fn alpha(&self, inside: &str, found: usize) -> Result<f64, AdapterError> {
        let said = first_fitting(&self.ranks, inside).unwrap_or(self.rank);
        if said != found as u64 {
            return Err(AdapterError::RankSetting {
                module: format!("{}: {inside}", self.file.display()),
                found,
                said,
            });
        }
        Ok(first_fitting(&self.alphas, inside).unwrap_or(self.alpha))
    }

    /// What PEFT needs to apply `adapter`.
    pub(super) fn of(adapter: &Adapter) -> Map<String, Value> {
        let pairs = adapter.pairs();
        let rank = most_common(pairs.values().map(|pair| pair.rank()));
        let alpha = most_common(pairs.values().map(|pair| (pair.alpha as f32).to_bits()));
        let alpha = f32::from_bits(alpha);
        let others = pairs.iter().filter(|(_, pair)| pair.rank() != rank);
        let ranks: BTreeMap<_, _> = others.map(|(module, p)| (module, p.rank())).collect();
        let others = pairs.iter().filter(|(_, pair)| pair.alpha as f32 != alpha);
        let alphas: BTreeMap<_, _> = others
            .map(|(module, pair)| (module, number(pair.alpha as f32)))
            .collect();
        let settings = json!({
            "alpha_pattern": alphas,
            "bias": "none",
            "inference_mode": true,
            "lora_alpha": number(alpha),
            "lora_bias": false,
            "lora_dropout": 0.0,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": rank,
            "rank_pattern": ranks,
            "target_modules": pairs.keys().collect::<Vec<_>>(),
            "use_dora": false,
            "use_rslora": adapter.config().scaling == Scaling::RankStabilised,
        });
        match settings {
            Value::Object(settings) => settings,
            _ => Map::new(),
        }
    }
}

const WHOLE: &str = "a whole number of at least 1";
const NUMBER: &str = "a number";

struct Reading<'a> {
    settings: &'a Map<String, Value>,
    file: &'a Path,
}

impl Reading<'_> {
    fn refused(&self, key: &str, value: &Value, expected: &'static str) -> AdapterError {
        AdapterError::Setting {
            file: self.file.into(),
            key: key.into(),
            value: value.to_string(),
            expected,
        }
    }

    fn refuse_unsupported(&self) -> Result<(), AdapterError> {
        if let Some(kind) = self
            .settings
            .get("peft_type")
            .filter(|kind| *kind != "LORA")
        {
            return Err(self.refused("peft_type", kind, "\"LORA\""));
        }
        for (key, feature, advice) in UNSUPPORTED {
            if self.settings.get(key).is_some_and(is_used) {
                return Err(AdapterError::Unsupported {
                    feature: format!("{feature} ({key})"),
                    advice,
                });
            }
        }
        match self.settings.get("init_lora_weights") {
            Some(Value::String(start))
                if ALTERS_BASE.iter().any(|name| start.starts_with(name)) =>
            {
                Err(AdapterError::Unsupported {
                    feature: format!("a start that alters its base (init_lora_weights {start})"),
                    advice: "save it with PEFT's path_initial_model_for_weight_conversion",
                })
            }
            _ => Ok(()),
        }
    }

    fn value<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, AdapterError> {
        let value = self.settings.get(key).unwrap_or(&Value::Null);
        read(value).ok_or_else(|| self.refused(key, value, expected))
    }

    fn pattern<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<(String, T)>, AdapterError> {
        let empty = Map::new();
        let entries = match self.settings.get(key) {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(entries)) => entries,
            Some(other) => return Err(self.refused(key, other, "numbers by module name")),
        };
        let entries = entries.iter().map(|(pattern, value)| {
            let name = pattern.replace("\\.", ".");
            if !name.trim_start_matches('^').chars().all(is_of_name) {
                let expected = "by module name, without other signs of a regular expression than ^";
                return Err(self.refused(key, &Value::from(pattern.as_str()), expected));
            }
            let value = read(value).ok_or_else(|| self.refused(key, value, expected))?;
            Ok((name, value))
        });
        entries.collect()
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn is_used(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => text != "none",
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    }
}

/// PEFT's `get_pattern_key` on plain names: the whole name or its end, from the start alone after `^`.
fn first_fitting<T: Copy>(patterns: &[(String, T)], name: &str) -> Option<T> {
    let fits = |pattern: &str| match pattern.strip_prefix('^') {
        Some(whole) => name == whole,
        None => name
            .strip_suffix(pattern)
            .is_some_and(|before| before.is_empty() || before.ends_with('.')),
    };
    let found = patterns.iter().find(|(pattern, _)| fits(pattern));
    found.map(|(_, value)| *value)
}

/// The smallest of those that occur most often.
fn most_common<T: Ord + Copy + Default>(values: impl Iterator<Item = T>) -> T {
    let mut counts = BTreeMap::<T, usize>::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let most = counts.values().max().copied();
    let common = counts.iter().find(|(_, count)| Some(**count) == most);
    common.map(|(value, _)| *value).unwrap_or_default()
}

/// PEFT writes whole alphas as integers.
fn number(alpha: f32) -> Value {
    if alpha.fract() == 0.0 && alpha.abs() < 1e9 {
        return Value::from(alpha as i64);
    }
    // the shortest decimals of the single-precision number, not those of its neighbour in double precision
    let shortest: f64 = alpha.to_string().parse().unwrap_or(f64::from(alpha));
    Value::from(shortest)
}

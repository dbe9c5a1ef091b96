//! What is wrong with the settings, all of it at once.
use std::{fmt, path::Path};

use super::layers::Layer;

/// One thing to correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// `section.key`; empty where a whole file is unusable.
    pub key: String,
    /// The value as written.
    pub value: String,
    /// Who set it.
    pub layer: String,
    /// What it has to be.
    pub advice: String,
}

impl Issue {
    pub(super) fn new(key: &str, value: &str, layer: &Layer, advice: &str) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            layer: layer.to_string(),
            advice: advice.into(),
        }
    }

    pub(super) fn unknown(key: &str, layer: &Layer, nearest: Option<&str>) -> Self {
        let advice = match nearest {
            Some(nearest) => format!("is not a key; did you mean {nearest}?"),
            None => "is not a key; see configs/default.toml for settings, configs/recipes/default.toml for recipes"
                .to_owned(),
        };
        Self {
            key: key.into(),
            value: String::new(),
            layer: layer.to_string(),
            advice,
        }
    }

    pub(super) fn unreadable(path: &Path, reason: &str) -> Self {
        let advice = format!("cannot be read as TOML: {}", reason.trim_end());
        Self {
            key: String::new(),
            value: String::new(),
            layer: path.display().to_string(),
            advice,
        }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            value,
            layer,
            advice,
        } = self;
        match (key.is_empty(), value.is_empty()) {
            (true, _) => write!(f, "{layer}: {advice}"),
            (false, true) => write!(f, "{key} ({layer}): {advice}"),
            (false, false) => write!(f, "{key} = {value} ({layer}): {advice}"),
        }
    }
}

/// The settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} in the settings:{}", count(.0.len()), list(.0))]
pub struct ConfigError(pub Vec<Issue>);

fn count(issues: usize) -> String {
    if issues == 1 {
        "1 mistake".into()
    } else {
        format!("{issues} mistakes")
    }
}

fn list(issues: &[Issue]) -> String {
    issues.iter().map(|issue| format!("\n  {issue}")).collect()
}

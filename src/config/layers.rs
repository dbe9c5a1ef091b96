//! Where settings come from: one flat map of keys, each value with the layer that set it.
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    path::{Path, PathBuf},
};

use config::{Environment, File, FileFormat, Source, Value, ValueKind};

use super::{issue::Issue, nearest::nearest};

/// The built-in defaults: complete, so its keys are the known keys.
pub const DEFAULTS: &str = include_str!("../../configs/default.toml");

const ENV_PREFIX: &str = "NPEDIT";
const HUB_OFFLINE: &str = "HF_HUB_OFFLINE";
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    Default,
    File(PathBuf),
    Env(String),
    Flag(&'static str),
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value on its way through the layers.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

impl Setting {
    /// What a value of this kind is called in messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text in quotes",
        }
    }

    fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// A text (environment variable) read as the kind of `like`.
    fn parse_like(text: &str, like: &Self) -> Option<Self> {
        match like {
            Self::Bool(_) => text.parse().ok().map(Self::Bool),
            Self::Integer(_) => text.parse().ok().map(Self::Integer),
            Self::Float(_) => text.parse().ok().map(Self::Float),
            Self::Text(_) => Some(Self::Text(text.to_owned())),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) => write!(f, "{:?}", without_password(value)),
        }
    }
}

/// `scheme://user:password@rest` without the password: nothing that is shown or logged has it.
fn without_password(text: &str) -> Cow<'_, str> {
    let masked = || {
        let (scheme, rest) = text.split_once("://")?;
        let (user, host) = rest.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:***@{host}"))
    };
    masked().map_or(Cow::Borrowed(text), Cow::Owned)
}

/// What the command line adds to the defaults and the environment.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub file: Option<PathBuf>,
    /// `(key, value, flag)`
    pub flags: Vec<(&'static str, Setting, &'static str)>,
}

impl Given {
    /// Adds a flag's value, where the flag was given.
    #[must_use]
    pub fn flag(mut self, key: &'static str, value: Option<Setting>, flag: &'static str) -> Self {
        self.flags.extend(value.map(|value| (key, value, flag)));
        self
    }
}

/// All keys, merged: the last layer that names a key wins.
#[derive(Clone, Debug)]
pub struct Layers {
    settings: BTreeMap<String, (Setting, Layer)>,
}

impl Layers {
    /// Merges defaults, file, environment and flags. Values that cannot be used are issues and keep the layer below.
    pub fn merge(given: &Given, env: HashMap<String, String>) -> (Self, Vec<Issue>) {
        let mut issues = Vec::new();
        let mut layers = Self {
            settings: defaults(DEFAULTS),
        };
        if let Some(path) = &given.file {
            layers.add_file(path, &mut issues);
        }
        layers.add_env(env, &mut issues);
        for (key, value, flag) in &given.flags {
            layers.set(key, value.clone(), Layer::Flag(flag), &mut issues);
        }
        (layers, issues)
    }

    /// As [`Self::merge`], of a file alone: `defaults` is TOML with every key that the file may name.
    pub fn over(defaults_toml: &str, path: &Path) -> (Self, Vec<Issue>) {
        let mut issues = Vec::new();
        let mut layers = Self {
            settings: defaults(defaults_toml),
        };
        layers.add_file(path, &mut issues);
        (layers, issues)
    }

    /// Key, value and layer, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting, &Layer)> {
        self.settings
            .iter()
            .map(|(key, (setting, layer))| (key.as_str(), setting, layer))
    }

    /// Who set a known key.
    ///
    /// # Panics
    /// The defaults have no such key.
    pub fn layer(&self, key: &str) -> &Layer {
        &self.get(key).1
    }

    /// The value of a known key and who set it.
    pub(super) fn get(&self, key: &str) -> &(Setting, Layer) {
        self.settings
            .get(key)
            .unwrap_or_else(|| panic!("the defaults have no key {key}"))
    }

    fn add_file(&mut self, path: &Path, issues: &mut Vec<Issue>) {
        let layer = Layer::File(path.to_owned());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return issues.push(Issue::unreadable(path, &error.to_string()));
            }
        };
        let table = match File::from_str(&text, FileFormat::Toml).collect() {
            Ok(table) => table,
            Err(error) => return issues.push(Issue::unreadable(path, &error.to_string())),
        };
        let mut leaves = Vec::new();
        flatten("", table, &mut leaves);
        leaves.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, value) in leaves {
            match value {
                Some(value) => self.set(&key, value, layer.clone(), issues),
                None => issues.push(Issue::new(
                    &key,
                    "a list or a date",
                    &layer,
                    "must be a single value",
                )),
            }
        }
    }

    fn add_env(&mut self, env: HashMap<String, String>, issues: &mut Vec<Issue>) {
        let offline = env.get(HUB_OFFLINE).map(|value| value.to_ascii_lowercase());
        if matches!(offline.as_deref(), Some("1" | "true" | "on" | "yes")) {
            self.set(
                "model.offline",
                Setting::Bool(true),
                Layer::Env(HUB_OFFLINE.into()),
                issues,
            );
        }
        if let Some(endpoint) = env.get(OTLP_ENDPOINT) {
            self.set(
                "traces.otlp_endpoint",
                Setting::Text(endpoint.clone()),
                Layer::Env(OTLP_ENDPOINT.into()),
                issues,
            );
        }
        let source = Environment::with_prefix(ENV_PREFIX)
            .prefix_separator("__")
            .separator("__")
            .source(Some(env));
        let mut values: Vec<_> = source.collect().into_iter().flatten().collect();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, value) in values {
            let name = format!("{ENV_PREFIX}__{}", key.to_uppercase().replace('.', "__"));
            let text = value.into_string().unwrap_or_default();
            let like = self.settings.get(&key).map(|(setting, _)| setting.clone());
            let value = like
                .and_then(|like| Setting::parse_like(&text, &like))
                .unwrap_or(Setting::Text(text));
            self.set(&key, value, Layer::Env(name), issues);
        }
    }

    fn set(&mut self, key: &str, value: Setting, layer: Layer, issues: &mut Vec<Issue>) {
        match self.settings.get_mut(key) {
            None => {
                let known = nearest(self.settings.keys(), key);
                issues.push(Issue::unknown(key, &layer, known));
            }
            Some((current @ Setting::Float(_), of)) if let Setting::Integer(whole) = value => {
                (*current, *of) = (Setting::Float(whole as f64), layer);
            }
            Some((current, _)) if !current.same_kind(&value) => {
                let expected = format!("must be {}", current.kind());
                issues.push(Issue::new(key, &value.to_string(), &layer, &expected));
            }
            Some(slot) => *slot = (value, layer),
        }
    }
}

fn defaults(text: &str) -> BTreeMap<String, (Setting, Layer)> {
    let table = File::from_str(text, FileFormat::Toml)
        .collect()
        .expect("the defaults are valid TOML");
    let mut leaves = Vec::new();
    flatten("", table, &mut leaves);
    leaves
        .into_iter()
        .map(|(key, value)| {
            (
                key,
                (
                    value.expect("the defaults hold single values"),
                    Layer::Default,
                ),
            )
        })
        .collect()
}

/// `section.key` for every leaf; `None` for a value that is neither table nor scalar.
fn flatten(
    prefix: &str,
    table: HashMap<String, Value>,
    leaves: &mut Vec<(String, Option<Setting>)>,
) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        let setting = match value.kind {
            ValueKind::Table(inner) => {
                flatten(&key, inner, leaves);
                continue;
            }
            ValueKind::Boolean(value) => Some(Setting::Bool(value)),
            ValueKind::I64(value) => Some(Setting::Integer(value)),
            ValueKind::Float(value) => Some(Setting::Float(value)),
            ValueKind::String(value) => Some(Setting::Text(value)),
            _ => None,
        };
        leaves.push((key, setting));
    }
}

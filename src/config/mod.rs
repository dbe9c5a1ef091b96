//! Settings: layers (defaults, file, environment, flags) -> `compile` -> `Config`.
//!
//! `configs/default.toml` is the manual.
mod auth;
mod captions;
mod compile;
mod fetch;
mod issue;
mod layers;
mod nearest;
mod reader;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;

pub use auth::{Auth, ConfiguredKey, Scope, is_key_name};
pub use captions::Captions;
pub use fetch::{Fetch, HostPattern};
pub use issue::{ConfigError, Issue};
pub use layers::{Given, Layer, Layers, Setting};
pub(crate) use nearest::nearest;
pub use reader::Reader;
pub use values::{
    Choice, Config, DeviceChoice, DtypeChoice, Edit, Engine, Finetune, FormatChoice, Images, Judge,
    Log, LogFormat, Model, OverallChoice, PreprocessChoice, RunChoice, Server, SpellingChoice,
    Storage,
};

/// Settings with the layers that they came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub layers: Layers,
}

impl Config {
    /// Reads and validates the settings: `given` on top of the process environment on top of the defaults.
    ///
    /// # Errors
    /// Every mistake of every layer, each with its key and layer.
    pub fn load(given: &Given) -> Result<Loaded, ConfigError> {
        // A variable that is not UTF-8 cannot be a setting.
        let env = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        Self::load_with(given, env.collect())
    }

    fn load_with(given: &Given, env: HashMap<String, String>) -> Result<Loaded, ConfigError> {
        let (layers, issues) = Layers::merge(given, env);
        let config = compile::compile(&layers, issues).map_err(ConfigError)?;
        Ok(Loaded { config, layers })
    }
}

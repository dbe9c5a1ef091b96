//! Flags that several commands share; each is a layer over the settings.
use std::path::PathBuf;

use clap::Args;

use crate::{
    config::{Config, ConfigError, Given, Layer, Loaded, Setting},
    telemetry,
};

/// Log level of a command whose result matters more than its log.
const QUIET: &str = "warn";

/// Where the settings come from.
#[derive(Debug, Args)]
pub(super) struct SettingsArgs {
    /// Settings file; configs/default.toml in the sources is the manual
    #[arg(long, value_name = "FILE", env = "NPEDIT_CONFIG")]
    config: Option<PathBuf>,
}

impl SettingsArgs {
    pub(super) fn given(&self) -> Given {
        Given {
            file: self.config.clone(),
            flags: Vec::new(),
        }
    }

    pub(super) fn load(&self) -> Result<Loaded, ConfigError> {
        Config::load(&self.given())
    }
}

/// Which model, and where it runs.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// Bundle: a directory in diffusers layout, or hf:owner/name[@revision]
    #[arg(long, value_name = "REF")]
    model: Option<String>,
    /// Generator weights: a .safetensors or .pt file, or hf:owner/name[@revision]/file
    #[arg(long, value_name = "REF")]
    generator: Option<String>,
    /// Use only local and cached files, open no connection
    #[arg(long)]
    offline: bool,
    /// Where to compute
    #[arg(long, value_parser = ["auto", "cpu", "cuda"])]
    device: Option<String>,
    /// Number format of all models
    #[arg(long, value_parser = ["auto", "f32", "bf16"])]
    dtype: Option<String>,
}

impl ModelArgs {
    pub(super) fn add_to(&self, given: Given) -> Given {
        let text = |value: &Option<String>| value.clone().map(Setting::Text);
        given
            .flag("model.reference", text(&self.model), "--model")
            .flag("model.generator", text(&self.generator), "--generator")
            .flag(
                "model.offline",
                self.offline.then_some(Setting::Bool(true)),
                "--offline",
            )
            .flag("model.device", text(&self.device), "--device")
            .flag("model.transformer_dtype", text(&self.dtype), "--dtype")
            .flag("model.text_encoder_dtype", text(&self.dtype), "--dtype")
            .flag("model.vae_dtype", text(&self.dtype), "--dtype")
            .flag("judge.dtype", text(&self.dtype), "--dtype")
    }
}

/// Where models come from and run.
#[derive(Debug, Args)]
pub(super) struct DeviceArgs {
    /// Use only local and cached files, open no connection
    #[arg(long)]
    offline: bool,
    /// Where to compute
    #[arg(long, value_parser = ["auto", "cpu", "cuda"])]
    device: Option<String>,
}

impl DeviceArgs {
    pub(super) fn add_to(&self, given: Given) -> Given {
        let offline = self.offline.then_some(Setting::Bool(true));
        let device = self.device.clone().map(Setting::Text);
        given
            .flag("model.offline", offline, "--offline")
            .flag("model.device", device, "--device")
    }
}

/// Which judge, and where it runs.
#[derive(Debug, Args)]
pub(super) struct JudgeArgs {
    /// Judge: a directory in Hugging Face layout, or hf:owner/name[@revision]
    #[arg(long, value_name = "REF")]
    judge: Option<String>,
    /// Bundle whose judge is taken where --judge names none
    #[arg(long, value_name = "REF")]
    model: Option<String>,
    /// Use only local and cached files, open no connection
    #[arg(long)]
    offline: bool,
    /// Where to compute
    #[arg(long, value_parser = ["auto", "cpu", "cuda"])]
    device: Option<String>,
    /// Number format of the judge
    #[arg(long, value_parser = ["auto", "f32", "bf16"])]
    dtype: Option<String>,
}

impl JudgeArgs {
    pub(super) fn add_to(&self, given: Given) -> Given {
        let text = |value: &Option<String>| value.clone().map(Setting::Text);
        given
            .flag("judge.reference", text(&self.judge), "--judge")
            .flag("model.reference", text(&self.model), "--model")
            .flag(
                "model.offline",
                self.offline.then_some(Setting::Bool(true)),
                "--offline",
            )
            .flag("model.device", text(&self.device), "--device")
            .flag("judge.dtype", text(&self.dtype), "--dtype")
    }
}

/// Loads the settings of a command whose result matters more than its log, and starts log and threads by them.
pub(super) fn start_quietly(given: &Given) -> Result<Config, ConfigError> {
    let loaded = Config::load(given)?;
    let mut log = loaded.config.log.clone();
    if *loaded.layers.layer("log.level") == Layer::Default {
        log.level = QUIET.to_owned();
    }
    telemetry::init(&log);
    use_threads(loaded.config.engine.threads);
    Ok(loaded.config)
}

/// Sets the threads of the CPU kernels; 0 keeps one per core. Call once, before any kernel runs.
pub(super) fn use_threads(threads: usize) {
    if threads > 0 {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global();
        pool.expect("nothing has used the pool yet");
    }
}

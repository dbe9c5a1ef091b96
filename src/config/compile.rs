//! Merged layers to validated values; every mistake is kept, none stops the search.
use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    issue::Issue,
    layers::{Layers, Setting},
    values::{Config, Edit, Engine, Images, Judge, Log, Model, Server, Storage},
};

/// Longest time that a setting may ask for: one day.
const MAX_SECS: u64 = 24 * 60 * 60;

/// Reads keys one by one and remembers what was wrong.
struct Reader<'a> {
    layers: &'a Layers,
    issues: Vec<Issue>,
}

/// Turns merged layers into a `Config`, adding to the `issues` of merging.
pub(super) fn compile(layers: &Layers, issues: Vec<Issue>) -> Result<Config, Vec<Issue>> {
    let mut read = Reader { layers, issues };
    let config = Config {
        server: Server {
            host: read.address("server.host"),
            port: read.integer("server.port", 0..=65_535),
            max_body_bytes: read.integer("server.max_body_bytes", 1..=1 << 40),
            request_timeout: read.seconds("server.request_timeout_secs", 1),
            edit_timeout: read.seconds("server.edit_timeout_secs", 1),
            shutdown_grace: read.seconds("server.shutdown_grace_secs", 0),
        },
        model: Model {
            reference: read.optional_text("model.reference"),
            generator: read.optional_text("model.generator"),
            offline: read.boolean("model.offline"),
            device: read.choice("model.device"),
            transformer_dtype: read.choice("model.transformer_dtype"),
            text_encoder_dtype: read.choice("model.text_encoder_dtype"),
            vae_dtype: read.choice("model.vae_dtype"),
        },
        edit: Edit {
            max_n: read.integer("edit.max_n", 1..=64),
            max_steps: read.integer("edit.max_steps", 1..=8),
            instruction_max_bytes: read.integer("edit.instruction_max_bytes", 1..=1 << 20),
            output_format: read.choice("edit.output_format"),
            output_quality: read.integer("edit.output_quality", 1..=100),
            preprocess: read.choice("edit.preprocess"),
        },
        judge: Judge {
            reference: read.optional_text("judge.reference"),
            enabled: read.boolean("judge.enabled"),
            dtype: read.choice("judge.dtype"),
            questions_file: read.optional_text("judge.questions_file").map(Into::into),
            calibration_file: read.optional_text("judge.calibration_file").map(Into::into),
            answer_spelling: read.choice("judge.answer_spelling"),
            overall: read.choice("judge.overall"),
            max_questions: read.integer("judge.max_questions", 0..=64),
            question_max_bytes: read.integer("judge.question_max_bytes", 1..=1 << 20),
            max_items: read.integer("judge.max_items", 1..=64),
            max_best_of: read.integer("judge.max_best_of", 2..=64),
        },
        engine: Engine {
            queue_depth: read.integer("engine.queue_depth", 1..=100_000),
            threads: read.integer("engine.threads", 0..=1024),
        },
        images: Images {
            max_pixels: read.integer("images.max_pixels", 1..=1 << 30),
            max_side_px: read.integer("images.max_side_px", 1..=65_535),
            max_bytes: read.integer("images.max_bytes", 1..=1 << 40),
            decode_workers: read.integer("images.decode_workers", 0..=1024),
        },
        storage: Storage {
            data_dir: PathBuf::from(read.required_text("storage.data_dir")),
        },
        log: Log {
            format: read.choice("log.format"),
            level: read.level("log.level"),
        },
    };
    read.cross_checks(&config);
    if read.issues.is_empty() {
        Ok(config)
    } else {
        Err(read.issues)
    }
}

impl Reader<'_> {
    fn cross_checks(&mut self, config: &Config) {
        if config.images.max_bytes > config.server.max_body_bytes {
            self.issue(
                "images.max_bytes",
                "must not exceed server.max_body_bytes; lower it, or raise the other",
            );
        }
        if config.model.generator.is_some() && config.model.reference.is_none() {
            self.issue(
                "model.generator",
                "needs model.reference, the bundle whose transformer it replaces",
            );
        }
    }

    fn issue(&mut self, key: &str, advice: &str) {
        let (setting, layer) = self.layers.get(key);
        self.issues
            .push(Issue::new(key, &setting.to_string(), layer, advice));
    }

    fn text(&self, key: &str) -> &str {
        match &self.layers.get(key).0 {
            Setting::Text(text) => text,
            other => unreachable!("configs/default.toml: {key} = {other} is read as a text"),
        }
    }

    fn boolean(&self, key: &str) -> bool {
        match &self.layers.get(key).0 {
            Setting::Bool(value) => *value,
            other => unreachable!("configs/default.toml: {key} = {other} is read as true or false"),
        }
    }

    fn integer<T: TryFrom<i64> + Default>(&mut self, key: &str, range: RangeInclusive<i64>) -> T {
        let value = match &self.layers.get(key).0 {
            Setting::Integer(value) => *value,
            other => {
                unreachable!("configs/default.toml: {key} = {other} is read as a whole number")
            }
        };
        let converted = if range.contains(&value) {
            T::try_from(value).ok()
        } else {
            None
        };
        converted.unwrap_or_else(|| {
            self.issue(
                key,
                &format!("must be from {} to {}", range.start(), range.end()),
            );
            T::default()
        })
    }

    fn seconds(&mut self, key: &str, min: i64) -> Duration {
        Duration::from_secs(self.integer(key, min..=MAX_SECS.cast_signed()))
    }

    fn optional_text(&self, key: &str) -> Option<String> {
        let text = self.text(key).trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn required_text(&mut self, key: &str) -> String {
        self.optional_text(key).unwrap_or_else(|| {
            self.issue(key, "must not be empty");
            String::new()
        })
    }

    fn address(&mut self, key: &str) -> IpAddr {
        self.text(key).parse().unwrap_or_else(|_| {
            self.issue(key, "must be an IP address, such as 127.0.0.1 or 0.0.0.0");
            IpAddr::from([127, 0, 0, 1])
        })
    }

    fn choice<T: super::values::Choice>(&mut self, key: &str) -> T {
        let text = self.text(key).to_owned();
        let found = T::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        found.unwrap_or_else(|| {
            let names: Vec<String> = T::ALL.iter().map(|(name, _)| format!("{name:?}")).collect();
            self.issue(key, &format!("must be one of {}", names.join(", ")));
            T::ALL[0].1
        })
    }

    fn level(&mut self, key: &str) -> String {
        let text = self.required_text(key);
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&text) {
            self.issue(key, &format!("must be a level such as \"info\", or directives such as \"info,npedit=debug\" ({error})"));
        }
        text
    }
}

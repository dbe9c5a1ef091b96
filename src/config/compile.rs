//! Merged layers to validated values; every mistake is kept, none stops the search.
use std::{path::PathBuf, time::Duration};

use super::{
    auth::auth,
    captions::captions,
    fetch::fetch,
    issue::Issue,
    layers::Layers,
    reader::Reader,
    values::{
        Adapters, Cache, Capture, Config, Edit, Engine, Finetune, Images, Judge, Log, Model,
        Results, Server, Storage, Traces,
    },
};

/// Ten years.
const MAX_AGE_SECS: i64 = 10 * 365 * 24 * 60 * 60;

/// Turns merged layers into a `Config`, adding to the `issues` of merging.
pub(super) fn compile(layers: &Layers, issues: Vec<Issue>) -> Result<Config, Vec<Issue>> {
    let mut read = Reader::new(layers, issues);
    let config = Config {
        server: Server {
            host: read.address("server.host"),
            port: read.integer("server.port", 0..=65_535),
            max_body_bytes: read.integer("server.max_body_bytes", 1..=1 << 40),
            request_timeout: read.seconds("server.request_timeout_secs", 1),
            edit_timeout: read.seconds("server.edit_timeout_secs", 1),
            drain_delay: read.seconds("server.drain_delay_secs", 0),
            shutdown_grace: read.seconds("server.shutdown_grace_secs", 0),
            cors_origins: origins(&mut read),
        },
        auth: auth(&mut read),
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
        adapters: Adapters {
            directory: read.optional_text("adapters.directory").map(Into::into),
            max_resident_bytes: read.integer("adapters.max_resident_bytes", 0..=1 << 50),
        },
        engine: Engine {
            queue_depth: read.integer("engine.queue_depth", 1..=100_000),
            max_batch: read.integer("engine.max_batch", 1..=256),
            batch_wait: Duration::from_millis(read.integer("engine.batch_wait_ms", 0..=10_000)),
            threads: read.integer("engine.threads", 0..=1024),
        },
        cache: Cache {
            text_max_bytes: read.integer("cache.text_max_bytes", 0..=1 << 50),
            reference_max_bytes: read.integer("cache.reference_max_bytes", 0..=1 << 50),
        },
        results: Results {
            ttl: read.seconds("results.ttl_secs", 1),
            max_bytes: read.integer("results.max_bytes", 0..=1 << 50),
        },
        images: Images {
            max_pixels: read.integer("images.max_pixels", 1..=1 << 30),
            max_side_px: read.integer("images.max_side_px", 1..=65_535),
            max_bytes: read.integer("images.max_bytes", 1..=1 << 40),
            decode_workers: read.integer("images.decode_workers", 0..=1024),
        },
        fetch: fetch(&mut read),
        storage: Storage {
            data_dir: PathBuf::from(read.required_text("storage.data_dir")),
            database_url: read.optional_text("storage.database_url"),
            objects_url: read.optional_text("storage.objects_url"),
        },
        finetune: finetune(&mut read),
        captions: captions(&mut read),
        capture: Capture {
            low_scores: read.boolean("capture.low_scores"),
            below: read.number("capture.below", 0.0..=1.0),
            max_bytes: read.integer("capture.max_bytes", 0..=1 << 50),
            max_age: Duration::from_secs(read.integer("capture.max_age_secs", 1..=MAX_AGE_SECS)),
        },
        log: Log {
            format: read.choice("log.format"),
            level: read.level("log.level"),
        },
        traces: Traces {
            otlp_endpoint: read.optional_text("traces.otlp_endpoint"),
        },
    };
    cross_checks(&mut read, &config);
    read.finish(config)
}

fn origins(read: &mut Reader) -> Vec<String> {
    let text = read.text("server.cors_origins").to_owned();
    let origins = text.split([',', ' ']).filter(|origin| !origin.is_empty());
    let origins: Vec<String> = origins.map(str::to_owned).collect();
    let is_origin = |origin: &String| {
        let host = ["http://", "https://"]
            .iter()
            .find_map(|scheme| origin.strip_prefix(scheme));
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#@".contains(&byte);
        host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain))
    };
    let all = origins.iter().any(|origin| origin == "*");
    let alone = !all || origins.len() == 1;
    if !(alone && (all || origins.iter().all(is_origin))) {
        let advice = "must be * or origins such as https://app.example.org, without a path, separated by commas";
        read.issue("server.cors_origins", advice);
    }
    origins
}

fn finetune(read: &mut Reader) -> Finetune {
    Finetune {
        run: read.choice("finetune.run"),
        recipes_dir: read.optional_text("finetune.recipes_dir").map(Into::into),
        lease: read.seconds("finetune.lease_secs", 2),
        checkpoint_interval: read.seconds("finetune.checkpoint_interval_secs", 0),
        max_rows: read.integer("finetune.max_rows", 1..=1 << 20),
        max_entries: read.integer("finetune.max_entries", 1..=1 << 20),
        max_set_bytes: read.integer("finetune.max_set_bytes", 1..=1 << 40),
        max_ratio: read.integer("finetune.max_ratio", 1..=100_000),
        holdout: read.number("finetune.holdout", 0.0..=0.9),
        max_held_out: read.integer("finetune.max_held_out", 1..=4096),
        regression_edits: read.integer("finetune.regression_edits", 0..=4096),
        margin: read.number("finetune.margin", -1.0..=1.0),
        type_margin: read.number("finetune.type_margin", 0.0..=1.0),
        events_idle: read.seconds("finetune.events_idle_secs", 1),
    }
}

fn cross_checks(read: &mut Reader, config: &Config) {
    if config.images.max_bytes > config.server.max_body_bytes {
        read.issue(
            "images.max_bytes",
            "must not exceed server.max_body_bytes; lower it, or raise the other",
        );
    }
    let endpoint = config.traces.otlp_endpoint.as_deref();
    if endpoint.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        read.issue(
            "traces.otlp_endpoint",
            "must be a collector's http://HOST:PORT (OTLP over HTTP, often port 4318), or empty",
        );
    }
    for (key, url, scheme) in [
        (
            "storage.database_url",
            &config.storage.database_url,
            "postgres",
        ),
        ("storage.objects_url", &config.storage.objects_url, "s3://"),
    ] {
        if url.as_ref().is_some_and(|url| !url.starts_with(scheme)) {
            read.issue(
                key,
                "must be postgres://.. or s3://.., or empty for the data directory",
            );
        }
    }
    if config.model.generator.is_some() && config.model.reference.is_none() {
        read.issue(
            "model.generator",
            "needs model.reference, the bundle whose transformer it replaces",
        );
    }
}

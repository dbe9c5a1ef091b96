//! `npedit worker`: runs jobs, and nothing else, until a signal.
use std::path::PathBuf;

use clap::Args;

use super::{
    args::{ModelArgs, SettingsArgs, use_threads},
    error::CliError,
    serve::THREADS_GRACE,
    signal::stopped,
};
use crate::{
    app::Worker,
    config::{Config, Setting},
    telemetry,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Takes the settings of the service: the same storage.database_url, storage.objects_url and models. Any number of workers share a
Postgres database; a service beside them has finetune.run = \"workers\".
Stops on SIGTERM or Ctrl-C: a running job is given back with a checkpoint, and another worker goes on with it.
Example:
  npedit worker --config shared.toml")]
pub(super) struct WorkerArgs {
    /// Directory for work in progress, and for what is kept where no database or object store is named
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Judge: a directory in Hugging Face layout, or hf:owner/name[@revision]; else the bundle's own
    #[arg(long, value_name = "REF")]
    judge: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn run(args: &WorkerArgs) -> Result<(), CliError> {
    let path = |path: &PathBuf| Setting::Text(path.to_string_lossy().into_owned());
    let given = args
        .model
        .add_to(args.settings.given())
        .flag(
            "judge.reference",
            args.judge.clone().map(Setting::Text),
            "--judge",
        )
        .flag(
            "storage.data_dir",
            args.data_dir.as_ref().map(path),
            "--data-dir",
        );
    let config = Config::load(&given)?.config;
    telemetry::init(&config.log);
    use_threads(config.engine.threads);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let result = runtime.block_on(async {
        let worker = Worker::build(config).await?;
        worker.run_until_stopped(stopped()).await;
        Ok::<_, CliError>(())
    });
    runtime.shutdown_timeout(THREADS_GRACE);
    result
}

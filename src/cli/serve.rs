//! `npedit serve`: the HTTP service until a signal.
use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::{
    args::{ModelArgs, SettingsArgs, use_threads},
    error::CliError,
    signal::stopped,
};
use crate::{
    app::Application,
    config::{Config, Setting},
    telemetry::{self, traces::Traces},
};

/// Time for background threads once the service has stopped.
pub(super) const THREADS_GRACE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(after_help = "\
Stops on SIGTERM or Ctrl-C once running edits are done (server.shutdown_grace_secs); a second signal ends it at once.
Example:
  npedit serve --port 8080
  curl -F image=@photo.jpg -F instruction='make it night' -H 'Accept: image/png' localhost:8080/v1/edit -o night.png")]
pub(super) struct ServeArgs {
    /// Address to listen on; 0.0.0.0 takes other machines too, and needs a key (npedit key create)
    #[arg(long)]
    host: Option<IpAddr>,
    /// Port to listen on; 0 takes a free one
    #[arg(long)]
    port: Option<u16>,
    /// Take requests without a key, also where other machines reach the service or there are keys
    #[arg(long)]
    allow_anonymous: bool,
    /// Directory for what the service keeps (sets, jobs, adapters)
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

pub(super) fn run(args: &ServeArgs) -> Result<(), CliError> {
    let path = |path: &PathBuf| Setting::Text(path.to_string_lossy().into_owned());
    let given = args
        .model
        .add_to(args.settings.given())
        .flag(
            "server.host",
            args.host.map(|host| Setting::Text(host.to_string())),
            "--host",
        )
        .flag(
            "server.port",
            args.port.map(|port| Setting::Integer(port.into())),
            "--port",
        )
        .flag(
            "auth.allow_anonymous",
            args.allow_anonymous.then_some(Setting::Bool(true)),
            "--allow-anonymous",
        )
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
    let endpoint = config.traces.otlp_endpoint.as_deref();
    // sends what is left when the service has ended
    let _traces = endpoint.map(Traces::export).transpose()?;
    use_threads(config.engine.threads);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let result = runtime.block_on(async {
        let application = Application::build(config).await?;
        application.run_until_stopped(stopped()).await
    });
    runtime.shutdown_timeout(THREADS_GRACE);
    Ok(result?)
}

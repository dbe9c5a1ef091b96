//! `npedit serve`: the HTTP service until a signal.
use std::{net::IpAddr, path::PathBuf, process, time::Duration};

use clap::Args;

use super::{
    args::{ModelArgs, SettingsArgs, use_threads},
    error::CliError,
};
use crate::{
    app::Application,
    config::{Config, Setting},
    telemetry,
};

/// Time for background threads once the service has stopped.
const THREADS_GRACE: Duration = Duration::from_millis(200);
/// As a shell counts a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

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
    use_threads(config.engine.threads);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let result = runtime.block_on(async {
        let application = Application::build(config).await?;
        application.run_until_stopped(signal()).await
    });
    runtime.shutdown_timeout(THREADS_GRACE);
    Ok(result?)
}

/// Done at the first signal; the second ends the process.
async fn signal() {
    next_signal().await;
    tracing::info!("stopping; running edits may finish, another signal ends them");
    tokio::spawn(async {
        next_signal().await;
        process::exit(INTERRUPTED);
    });
}

#[cfg(unix)]
async fn next_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).expect("the runtime has its signal driver on");
    let (mut terminate, mut interrupt) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(not(unix))]
async fn next_signal() {
    tokio::signal::ctrl_c()
        .await
        .expect("the runtime has its signal driver on");
}

//! The service: an address, an engine with its models on the way, and the routes.
use std::{future::Future, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, runtime::Handle};

use super::{AppError, BUILT_IN, JudgeFiles, Loader, jobs};
use crate::{
    access::Access,
    adapters::{AdapterDirectory, AdapterSource, NoAdapters, RegistrySource},
    config::{Config, Server},
    engine::{Engine, EngineLimits, Readiness, Resident, Shared},
    fetch::{Fetcher, Ways},
    http::{self, HttpState},
    jobs::{Jobs, runner::Runner},
    models::hub::PullProgress,
};

/// The service, bound to its address, with its model on the way.
pub struct Application {
    listener: TcpListener,
    address: SocketAddr,
    engine: Engine,
    http: HttpState,
    server: Server,
    jobs: Jobs,
    runner: Option<Runner>,
}

impl Application {
    /// Binds the address first, so that a taken port costs no model load; the device thread then loads the model.
    ///
    /// # Errors
    /// The address or a thread is not to be had, or a file of the judge's settings cannot be used.
    pub async fn build(config: Config) -> Result<Self, AppError> {
        let wanted = SocketAddr::new(config.server.host, config.server.port);
        let bound = |source| AppError::Bind {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).await.map_err(bound)?;
        let address = listener.local_addr().map_err(bound)?;
        let files = JudgeFiles::read(&config.judge)?;
        let settings = config.clone();
        let jobs = jobs::open(&config).await?;
        let access = Access::new(&config.auth, jobs.storage().database.clone());
        stay_shut(&access, address).await?;
        let fetcher = Fetcher::new(&config.fetch, config.images.max_bytes, Ways::default());
        let fetcher = fetcher.map_err(|source| AppError::Fetch { source })?;
        let adapters = adapters(&config, &jobs)?;
        let engine = Engine::start(EngineLimits::from(&config), adapters, move || {
            let loader = Loader::new(&settings, &LogProgress)?;
            let editor = loader.editor()?;
            let shared = Shared::new(
                settings.cache.text_max_bytes,
                settings.cache.reference_max_bytes,
                settings.engine.max_batch,
            );
            let lanes = editor.lanes(settings.engine.max_batch);
            let lanes = lanes.map_err(|source| AppError::Thread { source })?;
            Ok::<_, AppError>(Resident {
                shared: shared.on(lanes),
                editor,
                judge: loader.judge(&files)?,
            })
        })
        .map_err(|source| AppError::Thread { source })?;
        tracing::info!(%address, "listening; the model is being loaded");
        if config.model.reference.is_none() {
            tracing::warn!("{BUILT_IN}");
        }
        let runner = jobs::beside_service(config.finetune.run)
            .map(|sharing| jobs::runner(&config, &jobs, (engine.gate(), sharing)));
        Ok(Self {
            listener,
            address,
            http: HttpState::new(engine.clone(), jobs.clone(), access, fetcher, &config),
            runner: runner.transpose()?,
            jobs,
            engine,
            server: config.server,
        })
    }

    /// Where it listens, with the port that 0 stood for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done, then lets running edits finish within the grace time.
    ///
    /// # Errors
    /// The model could not be loaded or warmed up.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> Result<(), AppError> {
        let (engine, jobs) = (self.engine, self.jobs);
        let running = self
            .runner
            .map(|runner| jobs::start(runner, &engine, jobs.stopping()));
        let running = running.transpose()?;
        let failed = async {
            match engine.started().await {
                Readiness::Failed { cause } => AppError::Start { cause },
                _ => {
                    tracing::info!("ready");
                    std::future::pending().await
                }
            }
        };
        let (http, drain_delay) = (self.http.clone(), self.server.drain_delay);
        let stop = async {
            stop.await;
            http.drain();
            jobs.stop();
            tokio::time::sleep(drain_delay).await;
        };
        let served = http::serve(self.listener, http::router(self.http), &self.server, stop);
        tokio::select! {
            () = served => {}
            error = failed => return Err(error),
        }
        if let Some(running) = running {
            // a job that does not end in time goes on from its last checkpoint
            let _ = tokio::time::timeout(self.server.shutdown_grace, running).await;
        }
        Ok(())
    }
}

/// Refuses an address that other machines reach where nothing asks them who they are, unless the settings want that.
async fn stay_shut(access: &Access, address: SocketAddr) -> Result<(), AppError> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if access.allows_anonymous() {
        tracing::warn!("other machines can reach this address, and nothing asks them who they are");
        return Ok(());
    }
    match access.has_keys().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(AppError::Open { address }),
        Err(error) => Err(AppError::Jobs {
            source: error.into(),
        }),
    }
}

/// Where edits find the adapters that they name.
fn adapters(config: &Config, jobs: &Jobs) -> Result<Arc<dyn AdapterSource>, AppError> {
    let other: Arc<dyn AdapterSource> = match &config.adapters.directory {
        None => Arc::new(NoAdapters),
        Some(directory) => {
            let opened = AdapterDirectory::open(directory);
            Arc::new(opened.map_err(|source| AppError::Adapters { source })?)
        }
    };
    Ok(Arc::new(RegistrySource::new(
        jobs.registry.clone(),
        Handle::current(),
        other,
    )))
}

/// Downloads of a service go to its log, one line a file.
struct LogProgress;

impl PullProgress for LogProgress {
    fn file(&self, path: &str, size: u64, have: u64) {
        tracing::info!(
            file = path,
            size_bytes = size,
            have_bytes = have,
            "downloading"
        );
    }

    fn advance(&self, _bytes: u64) {}
}

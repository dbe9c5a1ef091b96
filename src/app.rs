//! Composition root: from settings to a loaded editor, and to a running service.
use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use candle_core::{DType, Device};
use tokio::net::TcpListener;

use crate::{
    config::{Config, DeviceChoice, DtypeChoice, Model, Server},
    engine::{Engine, EngineLimits, Readiness},
    http::{self, HttpState},
    models::{
        files::Files,
        hub::{HubAccess, PullProgress},
        source::{ModelRef, RefError, SourceError},
    },
    pipelines::{
        bundle::{BundleSource, EditBundle, EditBundleError, GeneratorWeights, Placement},
        edit::EditPipeline,
    },
};

/// Name of the bundle inside the binary.
const EMBEDDED_NAME: &str = "npedit-tiny-untrained";

/// What whoever uses the embedded bundle has to know.
pub const UNTRAINED: &str = "the built-in bundle is untrained: its weights are random and its results are noise; name a trained bundle with --model";

/// Why there is no editor or no service.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("model.{key}: {source}")]
    Reference {
        key: &'static str,
        #[source]
        source: RefError,
    },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(
        "CUDA does not work here: {source}; build with --features cuda on a machine with an NVIDIA GPU, or choose the device cpu"
    )]
    NoCuda {
        #[source]
        source: candle_core::Error,
    },
    #[error("cannot load {name}: {source}")]
    Bundle {
        name: String,
        #[source]
        source: EditBundleError,
    },
    #[error(
        "cannot listen on {address}: {source}; stop what uses the address, or choose another with --port and --host"
    )]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the operating system gives no thread for the device: {source}")]
    Thread {
        #[source]
        source: std::io::Error,
    },
    #[error("the model could not be started: {cause}")]
    Start {
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
}

/// Resolves the model's references, downloading where needed and allowed, and loads it. Blocks: not for async tasks.
///
/// # Errors
/// A reference that cannot be resolved, a device that is not there, files that do not load.
pub fn load_editor(model: &Model, progress: &dyn PullProgress) -> Result<EditPipeline, AppError> {
    let source = locate(model, progress)?;
    let placement = place(model)?;
    let bundle = EditBundle::load(&source, &placement);
    let bundle = bundle.map_err(|error| AppError::Bundle {
        name: source.name,
        source: error,
    })?;
    let identity = &bundle.identity;
    tracing::info!(
        model = identity.name,
        sha256 = identity.sha256,
        device = ?identity.device,
        dtypes = ?identity.dtypes,
        "the model is loaded"
    );
    Ok(EditPipeline { bundle })
}

fn locate(model: &Model, progress: &dyn PullProgress) -> Result<BundleSource, AppError> {
    let access = HubAccess::from_env(model.offline);
    let Some(reference) = &model.reference else {
        return Ok(BundleSource {
            name: EMBEDDED_NAME.to_owned(),
            files: Files::Embedded,
            generator: GeneratorWeights::Bundle,
        });
    };
    let parsed = parse("reference", reference)?;
    let generator = model
        .generator
        .as_ref()
        .map(|text| parse("generator", text))
        .transpose()?;
    let directory = parsed.bundle_directory(&access, progress)?;
    let generator = match generator {
        None => GeneratorWeights::Bundle,
        Some(generator) => GeneratorWeights::File(generator.weight_file(&access, progress)?),
    };
    Ok(BundleSource {
        name: name(&parsed),
        files: Files::Directory(directory),
        generator,
    })
}

fn parse(key: &'static str, text: &str) -> Result<ModelRef, AppError> {
    text.parse()
        .map_err(|source| AppError::Reference { key, source })
}

/// What clients see: never where on this machine a bundle lies.
fn name(reference: &ModelRef) -> String {
    match reference {
        ModelRef::Hub(hub) => hub.to_string(),
        ModelRef::Local(path) => {
            let absolute: PathBuf = path.canonicalize().unwrap_or_else(|_| path.clone());
            absolute.file_name().map_or_else(
                || "local".to_owned(),
                |name| name.to_string_lossy().into_owned(),
            )
        }
    }
}

fn place(model: &Model) -> Result<Placement, AppError> {
    let cuda = || Device::new_cuda(0).map_err(|source| AppError::NoCuda { source });
    let device = match model.device {
        DeviceChoice::Cpu => Device::Cpu,
        DeviceChoice::Cuda => cuda()?,
        DeviceChoice::Auto => cuda().unwrap_or(Device::Cpu),
    };
    let dtype = |choice| match choice {
        DtypeChoice::F32 => DType::F32,
        DtypeChoice::Bf16 => DType::BF16,
        DtypeChoice::Auto if device.is_cpu() => DType::F32,
        DtypeChoice::Auto => DType::BF16,
    };
    Ok(Placement {
        transformer: dtype(model.transformer_dtype),
        text_encoder: dtype(model.text_encoder_dtype),
        vae: dtype(model.vae_dtype),
        device,
    })
}

/// The service, bound to its address, with its model on the way.
pub struct Application {
    listener: TcpListener,
    address: SocketAddr,
    engine: Engine,
    http: HttpState,
    server: Server,
}

impl Application {
    /// Binds the address first, so that a taken port costs no model load; the device thread then loads the model.
    ///
    /// # Errors
    /// The address or a thread is not to be had.
    pub async fn build(config: Config) -> Result<Self, AppError> {
        let wanted = SocketAddr::new(config.server.host, config.server.port);
        let bound = |source| AppError::Bind {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).await.map_err(bound)?;
        let address = listener.local_addr().map_err(bound)?;
        let model = config.model.clone();
        let engine = Engine::start(EngineLimits::from(&config), move || {
            load_editor(&model, &LogProgress)
        })
        .map_err(|source| AppError::Thread { source })?;
        tracing::info!(%address, "listening; the model is being loaded");
        if config.model.reference.is_none() {
            tracing::warn!("{UNTRAINED}");
        }
        if address.ip() != Ipv4Addr::LOCALHOST {
            tracing::warn!(
                "other machines can reach this address, and nothing asks them who they are"
            );
        }
        Ok(Self {
            listener,
            address,
            http: HttpState::new(engine.clone(), &config),
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
        let engine = self.engine;
        let failed = async {
            match engine.started().await {
                Readiness::Failed { cause } => AppError::Start { cause },
                _ => {
                    tracing::info!("ready");
                    std::future::pending().await
                }
            }
        };
        let served = http::serve(self.listener, http::router(self.http), &self.server, stop);
        tokio::select! {
            () = served => Ok(()),
            error = failed => Err(error),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Given, models::hub::Silent};

    fn model(reference: &str) -> Model {
        let mut model = Config::load(&Given::default()).unwrap().config.model;
        model.device = DeviceChoice::Cpu;
        model.offline = true;
        model.reference = Some(reference.to_owned());
        model
    }

    #[test]
    fn the_cpu_computes_in_f32_unless_told_otherwise() {
        let mut model = model("x");
        model.vae_dtype = DtypeChoice::Bf16;
        let placement = place(&model).unwrap();
        assert_eq!(
            (placement.transformer, placement.vae),
            (DType::F32, DType::BF16)
        );
    }

    #[test]
    fn what_cannot_be_loaded_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let empty = load_editor(&model(&dir.path().display().to_string()), &Silent)
            .err()
            .unwrap();
        assert!(matches!(empty, AppError::Bundle { .. }), "{empty}");
        let broken = load_editor(&model("hf:only"), &Silent).err().unwrap();
        assert!(
            broken.to_string().starts_with("model.reference: "),
            "{broken}"
        );
        assert!(matches!(
            load_editor(&model("no/such/dir"), &Silent),
            Err(AppError::Source(_))
        ));
    }

    #[test]
    fn clients_do_not_see_directories_of_the_server() {
        assert_eq!(name(&ModelRef::Local("/srv/models/mine".into())), "mine");
        assert_eq!(name(&"hf:a/b@v1".parse().unwrap()), "hf:a/b@v1");
    }
}

//! Jobs beside the service: their storage, and the models that they train.
use std::sync::Arc;

use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
};

use super::{AppError, JudgeFiles, Loader, captioner};
use crate::{
    config::{Config, RunChoice},
    engine::{DeviceGate, Engine, Sharing},
    jobs::{
        JobSettings, Jobs,
        runner::{ModelSource, Runner},
    },
    models::hub::Silent,
    storage::{Storage, StorageSettings},
    training::{recipe::Recipe, run::Models},
};

/// Opens the storage, and puts right what a process that was killed left there.
///
/// # Errors
/// The storage is not to be had, or the caption model's API key cannot be used.
pub async fn open(config: &Config) -> Result<Jobs, AppError> {
    let failed = |source| AppError::Jobs { source };
    let captioner = captioner(config)?;
    let storage = Storage::open(&StorageSettings::from(&config.storage)).await;
    let storage = storage.map_err(|error| failed(error.into()))?;
    let jobs = Jobs::new(storage, JobSettings::from(config)).with_captioner(captioner);
    jobs.recover().await.map_err(failed)?;
    Ok(jobs)
}

/// How jobs share the service's device; none where only workers run them.
pub fn beside_service(choice: RunChoice) -> Option<Sharing> {
    match choice {
        RunChoice::Turns => Some(Sharing::Turns),
        RunChoice::Idle => Some(Sharing::Idle),
        RunChoice::Workers => None,
    }
}

/// Whoever runs the jobs of this process.
///
/// # Errors
/// A file of the judge's settings cannot be used.
pub fn runner(
    config: &Config,
    jobs: &Jobs,
    (gate, sharing): (&DeviceGate, Sharing),
) -> Result<Runner, AppError> {
    let models = Trained {
        files: JudgeFiles::read(&config.judge)?,
        config: config.clone(),
    };
    Ok(Runner {
        jobs: jobs.clone(),
        models: Arc::new(models),
        gate: gate.clone(),
        sharing,
    })
}

/// Runs jobs on a thread of their own, once the first edits can be served; the answer comes when it has stopped.
///
/// # Errors
/// The operating system gives no thread.
pub fn start(
    runner: Runner,
    engine: &Engine,
    stopping: watch::Receiver<bool>,
) -> Result<oneshot::Receiver<()>, AppError> {
    let (engine, runtime) = (engine.clone(), Handle::current());
    let (stopped, running) = oneshot::channel();
    let thread = std::thread::Builder::new().name("jobs".into());
    let spawned = thread.spawn(move || {
        runtime.block_on(async {
            engine.started().await;
            // the thread must not keep the device thread alive
            drop(engine);
            runner.run(stopping).await;
        });
        // where nobody waits any more, nobody is to be told
        let _ = stopped.send(());
    });
    spawned.map_err(|source| AppError::Thread { source })?;
    Ok(running)
}

/// The service's own models, loaded to be trained.
struct Trained {
    config: Config,
    files: JudgeFiles,
}

impl ModelSource for Trained {
    fn load(&self, recipe: &Recipe) -> Result<Models, Box<dyn std::error::Error + Send + Sync>> {
        let loader = Loader::new(&self.config, &Silent)?;
        Ok(loader.training(recipe, &self.files)?)
    }
}

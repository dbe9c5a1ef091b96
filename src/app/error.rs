//! Why a model or the service could not be had.
use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use crate::{
    adapters::AdapterError,
    jobs::{JobError, captions::CaptionSetupError},
    models::{
        error::LoadError,
        source::{RefError, SourceError},
    },
    pipelines::{
        bundle::EditBundleError,
        judge::CalibrationError,
        questions::{OwnQuestionsError, QuestionsError},
    },
};

/// Why there is no model or no service.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{key}: {source}")]
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
    #[error("cannot use the adapter {}: {source}", path.display())]
    Adapter {
        path: PathBuf,
        #[source]
        source: AdapterError,
    },
    #[error("adapters.directory: {source}")]
    Adapters {
        #[source]
        source: AdapterError,
    },
    #[error("cannot load the judge {name}: {source}")]
    Judge {
        name: String,
        #[source]
        source: LoadError,
    },
    #[error(
        "losses.lpips_weights: {}: {source}; the README says how to make the file",
        path.display()
    )]
    Lpips {
        path: PathBuf,
        #[source]
        source: LoadError,
    },
    #[error(
        "npedit.json names the judge {judge:?}, which is neither a directory inside the bundle nor hf:owner/name; correct it, or name a judge with --judge"
    )]
    BundleJudge { judge: String },
    #[error("judge.{key}: cannot read {}: {source}; name a file that exists and may be read", path.display())]
    JudgeFile {
        key: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the judge {name} brings questions that cannot be asked: {source}; correct the file, or name your own in judge.questions_file"
    )]
    OwnQuestions {
        name: String,
        #[source]
        source: OwnQuestionsError,
    },
    #[error("judge.questions_file: {}: {source}", path.display())]
    Questions {
        path: PathBuf,
        #[source]
        source: QuestionsError,
    },
    #[error("judge.calibration_file: {}: {source}", path.display())]
    Calibration {
        path: PathBuf,
        #[source]
        source: CalibrationError,
    },
    #[error(
        "cannot listen on {address}: {source}; stop what uses the address, or choose another with --port and --host"
    )]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{address} can be reached by other machines, and there is no key: make one with `npedit key create`, listen on 127.0.0.1, or take everybody with --allow-anonymous"
    )]
    Open { address: SocketAddr },
    #[error("the operating system gives no thread for the device: {source}")]
    Thread {
        #[source]
        source: std::io::Error,
    },
    #[error("fetch: {source}; check the system's certificates, or empty fetch.allowed_hosts")]
    Fetch {
        #[source]
        source: reqwest::Error,
    },
    #[error("captions.api_key_file: cannot read {}: {source}; name a file that exists and may be read", path.display())]
    CaptionKey {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("captions: {source}")]
    Captions {
        #[source]
        source: CaptionSetupError,
    },
    #[error("jobs: {source}")]
    Jobs {
        #[source]
        source: JobError,
    },
    #[error("the model could not be started: {cause}")]
    Start {
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
}

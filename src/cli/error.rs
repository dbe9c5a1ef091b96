//! What ends a command, and with which exit code.
use std::{io, path::PathBuf};

use super::{
    finetune::FinetuneError,
    health::Unready,
    judge_check::{FolderError, NotFitted},
    key::KeyError,
};
use crate::{
    adapters::AdapterError,
    app::AppError,
    config::ConfigError,
    jobs::JobError,
    models::{
        error::LoadError,
        random::RandomBundleError,
        source::{RefError, SourceError},
    },
    pipelines::{
        error::EditError,
        image::ImageError,
        judge::{JudgeError, check::FitError},
        noise_file::NoiseFileError,
    },
    telemetry::traces::TracesError,
    training::{instruction_set::InstructionSetError, recipe::RecipeError, run::RunError},
};

pub(super) const FAILED: u8 = 1;
pub(super) const BAD_INPUT: u8 = 2;
const NO_MODEL: u8 = 3;
const STOPPED: u8 = 130;

/// Everything that a command can end with.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Reference(#[from] RefError),
    #[error("{} is a local path and needs no download; name a model on the hub, as in hf:owner/name", .0.display())]
    NothingToPull(PathBuf),
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    #[error(transparent)]
    Unready(#[from] Unready),
    #[error("{} is not an empty directory; choose one that does not exist yet", .0.display())]
    NotEmpty(PathBuf),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(
        "there is no judge: no --judge, no judge.reference, none in the bundle, or judge.enabled = false; name one with --judge"
    )]
    NoJudge,
    #[error(transparent)]
    Judge(#[from] JudgeError),
    #[error("line {line}: {source}")]
    JudgedRow {
        line: usize,
        #[source]
        source: JudgeError,
    },
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    NotFitted(#[from] NotFitted),
    #[error(transparent)]
    Noise(#[from] NoiseFileError),
    #[error("cannot write {}: {source}; check the free space and the permissions", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    InstructionSet(#[from] InstructionSetError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("stopped after step {step}; the same command goes on from {}", checkpoint.display())]
    Stopped { step: u64, checkpoint: PathBuf },
    #[error(transparent)]
    Finetune(#[from] FinetuneError),
    #[error(transparent)]
    RandomBundle(#[from] RandomBundleError),
    #[error(
        "the operating system gives no threads for the service: {0}; end other processes, or raise the limit"
    )]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Traces(#[from] TracesError),
    #[error("cannot write to stdout: {0}")]
    Stdout(#[source] io::Error),
}

/// Input that no edit and no score can use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("the instruction is empty; say what to change")]
    NoInstruction,
    #[error(
        "the instruction has {bytes} bytes, the limit is {max}; shorten it, or raise edit.instruction_max_bytes"
    )]
    LongInstruction { bytes: usize, max: usize },
    #[error("--steps {steps} is not from 1 to {max} (edit.max_steps)")]
    Steps { steps: usize, max: usize },
    #[error("{count} images were asked for, from 1 to {max} can be made at once (edit.max_n)")]
    Count { count: usize, max: usize },
    #[error("--seed {seed} leaves no seeds for the other images; choose a smaller one")]
    LargeSeed { seed: u64 },
    #[error("cannot read {}: {source}; name a PNG, JPEG or WebP file, or - for stdin", path.display())]
    Input {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: {source}", path.display())]
    Image {
        path: PathBuf,
        #[source]
        source: ImageError,
    },
    #[error("stdin holds one image, not two; name a file for the other")]
    TwoFromStdin,
    #[error("the object is empty; name it, or leave --object out")]
    NoObject,
    #[error(transparent)]
    Option(ImageError),
    #[error("{} would be overwritten, but it is an input or another output; choose another name", path.display())]
    Overwrites { path: PathBuf },
    #[error("cannot write {}: {source}; choose a file in a directory that exists and may be written to", path.display())]
    Output {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not empty; name a directory that does not exist yet", path.display())]
    NotEmpty { path: PathBuf },
    #[error("stdout takes one image, not {count}; name a file with -o, or leave out --n")]
    SeveralToStdout { count: usize },
}

impl CliError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Reference(_)
            | Self::NothingToPull(_)
            | Self::Unusable(_)
            | Self::Recipe(_)
            | Self::InstructionSet(_)
            | Self::NotEmpty(_)
            | Self::Traces(_)
            | Self::Folder(_) => BAD_INPUT,
            Self::Key(error) => error.exit_code(),
            Self::Run(error) => run_exit_code(error),
            Self::Stopped { .. } => STOPPED,
            Self::NotFitted(error) => fit_exit_code(&error.source),
            Self::Source(_) | Self::Load(_) | Self::NoJudge => NO_MODEL,
            Self::Adapter(AdapterError::Write { .. }) => FAILED,
            Self::Adapter(_) => BAD_INPUT,
            Self::App(error) => app_exit_code(error),
            Self::Finetune(error) => finetune_exit_code(error),
            Self::Edit(error) => edit_exit_code(error),
            Self::Judge(source) | Self::JudgedRow { source, .. } => judge_exit_code(source),
            Self::RandomBundle(RandomBundleError::NotEmpty { .. }) => BAD_INPUT,
            Self::RandomBundle(_) | Self::Noise(NoiseFileError::Write { .. }) => FAILED,
            Self::Noise(_) => BAD_INPUT,
            Self::Write { .. } | Self::Stdout(_) | Self::Runtime(_) | Self::Unready(_) => FAILED,
        }
    }
}

fn run_exit_code(error: &RunError) -> u8 {
    match error {
        RunError::Rows { .. }
        | RunError::Target { .. }
        | RunError::Rank { .. }
        | RunError::Another { .. }
        | RunError::Busy { .. } => BAD_INPUT,
        RunError::NoJudge | RunError::Load(_) => NO_MODEL,
        RunError::Write { .. }
        | RunError::GaveUp { .. }
        | RunError::Training(_)
        | RunError::Checkpoint(_)
        | RunError::Adapter(_)
        | RunError::Tensor(_)
        | RunError::Picture(_) => FAILED,
    }
}

fn finetune_exit_code(error: &FinetuneError) -> u8 {
    match error {
        FinetuneError::Input { .. } | FinetuneError::Refused { .. } => BAD_INPUT,
        FinetuneError::App(error) => app_exit_code(error),
        FinetuneError::Job(JobError::Storage(_)) => FAILED,
        FinetuneError::Job(_) => BAD_INPUT,
        FinetuneError::Unreachable { .. } | FinetuneError::Ended { .. } => FAILED,
        FinetuneError::Stopped { .. } => STOPPED,
    }
}

fn app_exit_code(error: &AppError) -> u8 {
    match error {
        AppError::Reference { .. }
        | AppError::Adapters { .. }
        | AppError::JudgeFile { .. }
        | AppError::OwnQuestions { .. }
        | AppError::Questions { .. }
        | AppError::Calibration { .. }
        | AppError::CaptionKey { .. }
        | AppError::Captions { .. }
        | AppError::Open { .. }
        | AppError::Lpips { .. } => BAD_INPUT,
        AppError::Source(_)
        | AppError::NoCuda { .. }
        | AppError::Bundle { .. }
        | AppError::Judge { .. }
        | AppError::Adapter { .. }
        | AppError::BundleJudge { .. }
        | AppError::Start { .. } => NO_MODEL,
        AppError::Bind { .. }
        | AppError::Thread { .. }
        | AppError::Fetch { .. }
        | AppError::Jobs { .. } => FAILED,
    }
}

fn edit_exit_code(error: &EditError) -> u8 {
    match error {
        EditError::Image(_) | EditError::Sigmas(_) | EditError::NoiseShape { .. } => BAD_INPUT,
        EditError::Cancelled { .. } | EditError::Text(_) | EditError::Model { .. } => FAILED,
    }
}

fn fit_exit_code(error: &FitError) -> u8 {
    match error {
        FitError::TooFew { .. } | FitError::OneLabel { .. } => BAD_INPUT,
        FitError::Uninformative | FitError::Separable => FAILED,
    }
}

fn judge_exit_code(error: &JudgeError) -> u8 {
    match error {
        JudgeError::Prompt { .. }
        | JudgeError::TooLong { .. }
        | JudgeError::TooSmall { .. }
        | JudgeError::TooLongAndThin { .. } => BAD_INPUT,
        JudgeError::NotFinite | JudgeError::Model(_) => FAILED,
    }
}

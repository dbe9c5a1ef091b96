//! Errors of jobs, sets, adapters and storage, to their codes. No arm is a wildcard.
use super::{Code, FieldError, Problem};
use crate::{
    adapters::RegistryError,
    config::Issue,
    jobs::{
        JobError, OVERRIDES, StorageError,
        datasets::{DatasetError, LineProblem},
    },
};

/// Seconds after which storage that was away is worth another attempt.
const STORAGE_RETRY_SECS: u64 = 2;

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        let detail = error.to_string();
        let field = |pointer| {
            Self::fields(
                Code::InvalidRequest,
                vec![FieldError::new(pointer, &detail)],
            )
        };
        match error {
            JobError::UnknownJob { .. } => Self::new(Code::JobNotFound, detail),
            JobError::UnknownCapture { .. } => Self::new(Code::CaptureNotFound, detail),
            JobError::UnknownDataset { .. } => Self::new(Code::DatasetNotFound, detail),
            JobError::NothingToTrainOn { .. } => Self::new(Code::DatasetUnusable, detail),
            JobError::WrongState { .. } => Self::new(Code::JobStateConflict, detail),
            JobError::BuiltIn { .. } => Self::new(Code::InsufficientScope, detail),
            JobError::DatasetInUse { .. } => Self::new(Code::DatasetInUse, detail),
            JobError::UnknownRecipe { .. } => field("/recipe"),
            JobError::Recipe { issues } => Self::fields(
                Code::InvalidRequest,
                issues.iter().map(override_error).collect(),
            ),
            JobError::KeyReused => Self::new(Code::IdempotencyKeyReused, detail),
            JobError::Dataset(error) => error.into(),
            JobError::Registry(error) => error.into(),
            JobError::Storage(error) => error.into(),
            // Only whoever runs a job holds a lease.
            JobError::Fenced { .. } => Self::internal(error),
        }
    }
}

impl From<DatasetError> for Problem {
    fn from(error: DatasetError) -> Self {
        let detail = error.to_string();
        match error {
            DatasetError::Rows { problems } => Self::fields(
                Code::DatasetUnusable,
                problems.iter().map(row_error).collect(),
            ),
            DatasetError::Empty | DatasetError::TooManyRows { .. } | DatasetError::Table { .. } => {
                Self::new(Code::DatasetUnusable, detail)
            }
            DatasetError::Archive { .. }
            | DatasetError::Entry { .. }
            | DatasetError::Limit { .. } => Self::new(Code::ArchiveUnusable, detail),
            DatasetError::NameTaken { .. } => Self::new(Code::DatasetNameTaken, detail),
            DatasetError::Defect => Self::internal(error),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let detail = error.to_string();
        match error {
            RegistryError::Unknown { .. } => Self::new(Code::AdapterNotFound, detail),
            RegistryError::AliasName { .. } => {
                Self::fields(Code::InvalidRequest, vec![FieldError::new("/name", detail)])
            }
            RegistryError::AliasMoved { .. } => Self::new(Code::AliasMoved, detail),
            RegistryError::InUse { .. } => Self::new(Code::AdapterInUse, detail),
            RegistryError::Adapter(_) => Self::new(Code::AdapterUnusable, public(&detail)),
            RegistryError::Pack(error) => unavailable(error),
            RegistryError::Storage(error) => error.into(),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error.is_passing() {
            true => unavailable(error),
            false => Self::internal(error),
        }
    }
}

fn unavailable(cause: impl std::error::Error) -> Problem {
    let detail = "The database or the object store does not answer, or has no room; send the request again in a moment.";
    tracing::error!(error = %cause, "storage is not to be had");
    Problem::new(Code::StorageUnavailable, detail).retry_after(STORAGE_RETRY_SECS)
}

/// The message of an uploaded adapter's error, without where on this machine it lay.
fn public(detail: &str) -> String {
    let words = detail.split(' ').map(|word| match word.starts_with('/') {
        true => word.rsplit('/').next().unwrap_or_default(),
        false => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn row_error(problem: &LineProblem) -> FieldError {
    FieldError::new(format!("/rows/{}", problem.line), &problem.problem)
}

/// A key of the recipe, as the request's field that it came from.
fn override_error(issue: &Issue) -> FieldError {
    let short = OVERRIDES.iter().find(|(_, key)| *key == issue.key);
    if issue.key == "base_adapter" {
        return FieldError::new("/base_adapter", format!("{} {}", issue.value, issue.advice));
    }
    let pointer = match (short, issue.key.strip_prefix("losses.")) {
        (Some((short, _)), _) => format!("/overrides/{short}"),
        (None, Some(loss)) => format!("/overrides/weights/{loss}"),
        (None, None) => format!("/overrides/{}", issue.key),
    };
    let message = match issue.value.is_empty() {
        true => issue.advice.clone(),
        false => format!("{} {}", issue.value, issue.advice),
    };
    FieldError::new(pointer, message)
}

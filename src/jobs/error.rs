//! Why a job, a set or an adapter was refused.
use super::{Status, datasets::DatasetError};
use crate::{adapters::RegistryError, config::Issue, storage::StorageError};

/// What was asked for is not done. Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("there is no job {id}; GET /v1/finetune lists them")]
    UnknownJob { id: String },
    #[error(
        "there is no dataset {name:?}; GET /v1/datasets lists them, POST /v1/datasets makes one"
    )]
    UnknownDataset { name: String },
    #[error(
        "no row of the dataset {name:?} can be trained on: its instructions were judged to make no sense for their pictures; GET /v1/datasets/{name} says why"
    )]
    NothingToTrainOn { name: String },
    #[error("there is no captured edit {id}; GET /v1/captured lists them")]
    UnknownCapture { id: String },
    #[error("the job is {status}, and {action} needs one that is {needs}")]
    WrongState {
        action: &'static str,
        status: Status,
        needs: &'static str,
    },
    #[error(
        "the dataset {name:?} is built in and everyone's; only a key with the scope admin takes it away"
    )]
    BuiltIn { name: String },
    #[error("{by} uses the dataset {name:?}; cancel it or wait for its end")]
    DatasetInUse { name: String, by: String },
    #[error("there is no recipe {name:?}; the recipes are {}", known.join(", "))]
    UnknownRecipe { name: String, known: Vec<String> },
    #[error("the recipe cannot be run with these overrides")]
    Recipe { issues: Vec<Issue> },
    #[error(
        "the key was used for another request; send a new Idempotency-Key, or the same request again"
    )]
    KeyReused,
    /// Somebody else has the job now, or it has ended: whoever meets this stops and writes nothing more.
    #[error("the lease of the job {id} is lost; another worker goes on with it")]
    Fenced { id: String },
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for JobError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

pub type JobResult<T> = Result<T, JobError>;

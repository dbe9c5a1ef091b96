//! Why there is no adapter.
use std::{io, path::PathBuf};

use crate::{
    app::AppError,
    config::Issue,
    jobs::{
        JobError,
        datasets::{DatasetError, LineProblem},
    },
};

/// What ends the command. Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum FinetuneError {
    #[error("cannot read {}: {source}; name a folder, a zip or a tar with a table and its images", path.display())]
    Input {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    App(#[from] AppError),
    #[error("{}{}", .0, details(.0))]
    Job(JobError),
    #[error("{url} does not answer: {source}; check the address, and that npedit serve runs there")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the server refused: {problem}")]
    Refused { problem: String },
    #[error("the job {job} {status}: {message}")]
    Ended {
        job: String,
        status: String,
        message: String,
    },
    #[error(
        "stopped; the job {job} goes on from its last checkpoint with `npedit worker` or `npedit serve` on the same data directory"
    )]
    Stopped { job: String },
}

impl From<JobError> for FinetuneError {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}

/// One line for everything that is wrong.
fn details(error: &JobError) -> String {
    match error {
        JobError::Recipe { issues } => lines(issues.iter().map(issue)),
        JobError::Dataset(DatasetError::Rows { problems }) => {
            lines(problems.iter().map(LineProblem::to_string))
        }
        _ => String::new(),
    }
}

fn issue(issue: &Issue) -> String {
    format!("{} {} {}", issue.key, issue.value, issue.advice)
}

pub(super) fn lines(all: impl Iterator<Item = String>) -> String {
    all.map(|line| format!("\n  {line}")).collect()
}

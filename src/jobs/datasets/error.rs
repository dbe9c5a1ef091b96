//! Why a set was refused.
use std::fmt;

/// One thing that is wrong with a line of a table, or an item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineProblem {
    /// Counted from 1.
    pub line: usize,
    pub problem: String,
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// A set that cannot be kept. Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error(
        "the set has no row that can be used; send at least one with an image that decodes and an instruction"
    )]
    Empty,
    #[error("the set has {rows} rows, at most {max} are taken; send several sets")]
    TooManyRows { rows: usize, max: usize },
    #[error("{} of the set's rows cannot be read", problems.len())]
    Rows { problems: Vec<LineProblem> },
    #[error(
        "the upload has {found}; put exactly one .jsonl or .csv file with the rows beside the images"
    )]
    Table { found: String },
    #[error("the archive cannot be read: {problem}; send a whole zip, tar or tar.gz")]
    Archive { problem: String },
    #[error("the archive's entry {entry:?} {problem}; pack plain files below one folder")]
    Entry {
        entry: String,
        problem: &'static str,
    },
    #[error("the archive is over a limit: {what}, at most {max}; send fewer or smaller files")]
    Limit { what: String, max: u64 },
    #[error("there is a dataset {name:?} already; choose another name, or delete it first")]
    NameTaken { name: String },
    #[error("reading the set failed in an unforeseen way; report it")]
    Defect,
}

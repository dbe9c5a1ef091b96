//! A folder of labelled edits: checked whole before a judge is loaded.
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::row::{Row, RowProblem};
use crate::{
    cli::input::{check_instruction, read_image},
    config::Config,
    pipelines::image::ImageLimits,
};

/// Names that the list of edits may have; the second is that of image folders on the Hugging Face hub.
const LISTS: [&str; 2] = ["pairs.jsonl", "metadata.jsonl"];

/// Labelled edits, at least one.
pub(super) struct LabelledFolder {
    pub list: PathBuf,
    pub rows: Vec<Row>,
}

/// A folder that a judge cannot be checked with.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum FolderError {
    #[error("{} has neither {} nor {}; write one of them, a JSON object for each edit", dir.display(), LISTS[0], LISTS[1])]
    NoList { dir: PathBuf },
    #[error("{} has both {} and {}; keep the one that is meant", dir.display(), LISTS[0], LISTS[1])]
    TwoLists { dir: PathBuf },
    #[error("cannot read {}: {source}; it must be a text file in UTF-8", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is empty; write a JSON object for each edit", path.display())]
    Empty { path: PathBuf },
    #[error("{} cannot be used:{}", path.display(), listed(problems))]
    Rows {
        path: PathBuf,
        problems: Vec<LineProblem>,
    },
}

/// What is wrong, and where.
#[derive(Debug)]
pub(in crate::cli) struct LineProblem {
    pub(super) line: usize,
    pub(super) problem: RowProblem,
}

fn listed(problems: &[LineProblem]) -> String {
    let line = |found: &LineProblem| format!("\n  line {}: {}", found.line, found.problem);
    problems.iter().map(line).collect()
}

impl LabelledFolder {
    /// Reads the list and every picture once, so that no problem shows after hours of judging.
    pub fn read(dir: &Path, config: &Config) -> Result<Self, FolderError> {
        let list = find_list(dir)?;
        let text = fs::read_to_string(&list).map_err(|source| FolderError::Unreadable {
            path: list.clone(),
            source,
        })?;
        let mut rows = Vec::new();
        let mut problems = Vec::new();
        let mut seen = HashSet::new();
        let lines = text.lines().enumerate();
        for (at, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
            let line = at + 1;
            let found = match Row::parse(line, text) {
                Err(found) => found,
                Ok(row) => {
                    let found = unusable(dir, &row, config, &mut seen);
                    rows.push(row);
                    found
                }
            };
            problems.extend(
                found
                    .into_iter()
                    .map(|problem| LineProblem { line, problem }),
            );
        }
        if !problems.is_empty() {
            return Err(FolderError::Rows {
                path: list,
                problems,
            });
        }
        if rows.is_empty() {
            return Err(FolderError::Empty { path: list });
        }
        Ok(Self { list, rows })
    }
}

fn find_list(dir: &Path) -> Result<PathBuf, FolderError> {
    let lists = LISTS.map(|name| dir.join(name));
    let mut found = lists.into_iter().filter(|path| path.exists());
    let dir = dir.to_owned();
    match (found.next(), found.next()) {
        (Some(list), None) => Ok(list),
        (Some(_), Some(_)) => Err(FolderError::TwoLists { dir }),
        (None, _) => Err(FolderError::NoList { dir }),
    }
}

/// What a row names that cannot be judged; each picture is looked at once.
fn unusable(dir: &Path, row: &Row, config: &Config, seen: &mut HashSet<String>) -> Vec<RowProblem> {
    let limits = ImageLimits::from(&config.images);
    let text = check_instruction(&row.edit.instruction, config.edit.instruction_max_bytes);
    let mut problems: Vec<_> = text.err().into_iter().collect();
    for name in [&row.reference, &row.edited] {
        if seen.insert(name.clone()) {
            problems.extend(read_image(&dir.join(name), &limits).err());
        }
    }
    problems.into_iter().map(RowProblem::Unusable).collect()
}

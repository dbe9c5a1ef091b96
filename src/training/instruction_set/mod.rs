//! Photos and what to change about them: the rows that training draws from.
mod picture;
mod row;

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

pub use self::{
    picture::{PictureError, read_picture},
    row::Row,
};
use crate::{models::files::hex_sha256, pipelines::image::ImageLimits};

/// Rows with every picture found to decode.
#[derive(Clone, Debug)]
pub struct InstructionSet {
    pub rows: Vec<Row>,
    /// Hex sha256 over rows and pictures.
    pub sha256: String,
    /// Rows that were left out because their picture does not decode, where that was asked for.
    pub skipped: Vec<BadRow>,
}

/// What to do with a row whose picture does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPictures {
    Refuse,
    Skip,
}

/// One thing that is wrong with a file of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Counted from 1.
    pub line: usize,
    pub problem: String,
}

/// A set that cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum InstructionSetError {
    #[error("cannot read {}: {source}; name a JSONL file that exists and may be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} has no rows; give at least one JSON object a line, with image and instruction", path.display())]
    Empty { path: PathBuf },
    #[error("{} in {}:{}\ncorrect them{}", count(rows.len()), path.display(), list(rows), skip_advice(rows))]
    Rows { path: PathBuf, rows: Vec<BadRow> },
}

const UNDECODABLE: &str = "the image does not decode";

impl InstructionSet {
    /// Reads a JSONL file; pictures lie beside it. Every picture is decoded once, so that training meets no surprise.
    ///
    /// # Errors
    /// Every problem of every row at once.
    pub fn read(
        path: &Path,
        limits: &ImageLimits,
        bad_pictures: BadPictures,
    ) -> Result<Self, InstructionSetError> {
        let text = fs::read_to_string(path).map_err(|source| InstructionSetError::Unreadable {
            path: path.into(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let (mut rows, mut bad, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen: HashMap<(PathBuf, String), usize> = HashMap::new();
        let mut hash = Sha256::new();
        for (index, written) in text.lines().enumerate() {
            let line = index + 1;
            if written.trim().is_empty() {
                continue;
            }
            let row = match Row::parse(written, line, folder) {
                Ok(row) => row,
                Err(problem) => {
                    bad.push(BadRow { line, problem });
                    continue;
                }
            };
            let key = (row.image.clone(), row.instruction.clone());
            if let Some(first) = seen.insert(key, line) {
                let problem = format!("the same image and instruction as line {first}");
                bad.push(BadRow { line, problem });
                continue;
            }
            match picture_hashes(&row, limits) {
                Ok(pictures) => {
                    hash.update(row.canonical());
                    pictures.iter().for_each(|picture| hash.update(picture));
                    rows.push(row);
                }
                Err(error) => {
                    let problem = format!("{UNDECODABLE}: {error}");
                    let found = BadRow { line, problem };
                    match bad_pictures {
                        BadPictures::Refuse => bad.push(found),
                        BadPictures::Skip => skipped.push(found),
                    }
                }
            }
        }
        if !bad.is_empty() {
            return Err(InstructionSetError::Rows {
                path: path.into(),
                rows: bad,
            });
        }
        if rows.is_empty() {
            return Err(InstructionSetError::Empty { path: path.into() });
        }
        Ok(Self {
            rows,
            sha256: hex_sha256(&hash.finalize()),
            skipped,
        })
    }
}

/// Hashes of the pictures of a row, each decoded.
fn picture_hashes(row: &Row, limits: &ImageLimits) -> Result<Vec<String>, PictureError> {
    let pictures = std::iter::once(&row.image).chain(&row.edited);
    let hashes = pictures.map(|path| Ok(read_picture(path, limits)?.sha256));
    hashes.collect()
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

fn count(rows: usize) -> String {
    match rows {
        1 => "1 bad row".into(),
        rows => format!("{rows} bad rows"),
    }
}

fn list(rows: &[BadRow]) -> String {
    rows.iter().map(|row| format!("\n  {row}")).collect()
}

fn skip_advice(rows: &[BadRow]) -> &'static str {
    if rows.iter().any(|row| row.problem.starts_with(UNDECODABLE)) {
        ", or leave rows out whose image does not decode with --skip-bad"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests;

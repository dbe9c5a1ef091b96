//! JSONL and CSV to rows.
use serde_json::{Map, Value};

use super::{DatasetError, LineProblem, SentFiles, rows::SentRow};

/// The one file with rows: its path.
///
/// # Errors
/// None, or several.
pub fn find_table(files: &SentFiles) -> Result<String, DatasetError> {
    let tables = files.keys().filter(|path| kind(path).is_some());
    let tables: Vec<&String> = tables.collect();
    match tables[..] {
        [table] => Ok(table.clone()),
        [] => Err(DatasetError::Table {
            found: "no table of rows".into(),
        }),
        _ => {
            let some: Vec<_> = tables.iter().take(4).map(|path| path.as_str()).collect();
            Err(DatasetError::Table {
                found: format!("{} tables ({} ..)", tables.len(), some.join(", ")),
            })
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Jsonl,
    Csv,
}

fn kind(path: &str) -> Option<Kind> {
    let name = path.rsplit('/').next().unwrap_or(path);
    // what macOS packs beside every file
    if name.starts_with('.') {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    match lower.rsplit_once('.')?.1 {
        "jsonl" | "ndjson" => Some(Kind::Jsonl),
        "csv" => Some(Kind::Csv),
        _ => None,
    }
}

/// Rows with their line, and what is wrong with the others.
pub(super) type Read = (Vec<(usize, SentRow)>, Vec<LineProblem>);

/// The rows of the table at `path`.
///
/// # Errors
/// It is no text.
pub(super) fn read(path: &str, bytes: &[u8]) -> Result<Read, DatasetError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DatasetError::Table {
        found: format!("a table {path:?} that is not UTF-8"),
    })?;
    let text = text.trim_start_matches('\u{feff}');
    Ok(match kind(path) {
        Some(Kind::Csv) => csv_rows(text),
        _ => json_rows(text),
    })
}

fn json_rows(text: &str) -> Read {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    sorted(lines.map(|(index, line)| (index + 1, serde_json::from_str(line))))
}

fn csv_rows(text: &str) -> Read {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => return (Vec::new(), vec![problem(1, &error)]),
    };
    let mut bad = Vec::new();
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line) as usize;
                let filled = header.iter().zip(&record);
                let filled = filled.filter(|(_, value)| !value.is_empty());
                let row: Map<String, Value> = filled
                    .map(|(name, value)| (name.to_owned(), Value::from(value)))
                    .collect();
                rows.push((line, serde_json::from_value(Value::Object(row))));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line) as usize;
                bad.push(problem(line, &error));
            }
        }
    }
    let (good, mut worse) = sorted(rows.into_iter());
    bad.append(&mut worse);
    (good, bad)
}

fn sorted(rows: impl Iterator<Item = (usize, serde_json::Result<SentRow>)>) -> Read {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (line, row) in rows {
        match row {
            Ok(row) => good.push((line, row)),
            Err(error) => bad.push(problem(line, &error)),
        }
    }
    (good, bad)
}

fn problem(line: usize, error: &dyn std::error::Error) -> LineProblem {
    LineProblem {
        line,
        problem: error.to_string(),
    }
}

//! `metrics.jsonl`, read back.
use std::{collections::BTreeMap, fs, io, path::Path};

use serde::Deserialize;

/// One step as it was written. What was no number then is missing.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Line {
    pub step: u64,
    pub skipped: Option<String>,
    #[serde(default)]
    pub wall_secs: f64,
    #[serde(flatten)]
    numbers: BTreeMap<String, serde_json::Value>,
}

/// Every step of a run, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics(pub Vec<Line>);

/// Points of one curve: step and value.
pub(super) type Series = Vec<(f64, f64)>;

impl Metrics {
    /// A line that a crash cut off is left out.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let lines = text.lines().map(serde_json::from_str);
        Ok(Self(lines.filter_map(Result::ok).collect()))
    }

    /// Names of everything that was measured, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for line in &self.0 {
            for name in line.numbers.keys() {
                if let Err(at) = names.binary_search(name) {
                    names.insert(at, name.clone());
                }
            }
        }
        names
    }

    /// The steps that have `name`, with its value.
    pub(super) fn series(&self, name: &str) -> Series {
        let points = self.0.iter().filter_map(|line| {
            let value = line.numbers.get(name)?.as_f64()?;
            Some((line.step as f64, value))
        });
        points.collect()
    }

    /// First and last step.
    pub(super) fn steps(&self) -> (f64, f64) {
        let step = |line: Option<&Line>| line.map_or(0.0, |line| line.step as f64);
        (step(self.0.first()), step(self.0.last()))
    }

    /// Steps that were skipped.
    pub(super) fn skipped(&self) -> Vec<f64> {
        let skipped = self.0.iter().filter(|line| line.skipped.is_some());
        skipped.map(|line| line.step as f64).collect()
    }

    /// Time of all steps together.
    pub(super) fn wall_secs(&self) -> f64 {
        self.0.iter().map(|line| line.wall_secs).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_off_is_left_out_and_what_is_no_number_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let text = "{\"step\":1,\"loss\":2.5,\"wall_secs\":1.5,\"dmd\":1.0}\n{\"step\":2,\"loss\":null,\"skipped\":\"non_finite\",\"wall_secs\":0.5}\n{\"step\":3,\"lo";
        fs::write(&path, text).unwrap();
        let metrics = Metrics::read(&path).unwrap();
        assert_eq!(metrics.0.len(), 2);
        assert_eq!(metrics.names(), ["dmd", "loss"]);
        assert_eq!(metrics.series("loss"), [(1.0, 2.5)]);
        assert_eq!(metrics.skipped(), [2.0]);
        assert_eq!(metrics.wall_secs(), 2.0);
    }
}

//! Edits that somebody labelled, in the folder that `npedit judge-check` reads: beside what the world draws, a judge learns from
//! what editors really make.
use std::{fs, path::Path};

use image::RgbImage;
use serde::Deserialize;

use super::{hints::Hint, layout::AnswerPlaces, pair::QUESTIONS, vocabulary::Matter};
use crate::{
    pipelines::image::ImageLimits,
    training::{
        error::{TrainingError, TrainingResult},
        instruction_set::read_picture,
    },
};

/// A picture, what an editor made of it, and answers about that.
#[derive(Clone, Debug)]
pub struct Labelled {
    pub(super) before: RgbImage,
    pub(super) after: RgbImage,
    pub(super) asked: [Labels; QUESTIONS],
}

/// An instruction, and the answers that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    pub instruction: String,
    pub done: Option<bool>,
    pub kept: Option<bool>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Question {
    Edit,
    Preservation,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Yes,
    No,
}

#[derive(Deserialize)]
struct Row {
    reference: String,
    edited: String,
    instruction: String,
    question: Question,
    expected: Expected,
}

impl Labelled {
    /// Every edit of a list of rows, whose pictures lie beside it and are all of one size. Rows of one edit follow each other.
    ///
    /// # Errors
    /// A list that cannot be read, and the first row that cannot be used.
    pub fn read(list: &Path) -> TrainingResult<Vec<Self>> {
        let failed = |problem: String| TrainingError::Labelled {
            path: list.to_owned(),
            problem,
        };
        let at_line = |line: usize, problem: String| failed(format!("line {line}: {problem}"));
        let text = fs::read_to_string(list).map_err(|error| failed(error.to_string()))?;
        let folder = list.parent().unwrap_or(Path::new("."));
        let mut all: Vec<(usize, [String; 2], Vec<Labels>)> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let row: Row =
                serde_json::from_str(line).map_err(|e| at_line(at + 1, e.to_string()))?;
            let pictures = [row.reference, row.edited];
            if all.last().is_none_or(|(_, last, _)| *last != pictures) {
                all.push((at + 1, pictures, Vec::new()));
            }
            let (_, _, asked) = all.last_mut().expect("one was just put there");
            if asked
                .last()
                .is_none_or(|last| last.instruction != row.instruction)
            {
                asked.push(Labels {
                    instruction: row.instruction,
                    done: None,
                    kept: None,
                });
            }
            let labels = asked.last_mut().expect("one was just put there");
            match row.question {
                Question::Edit => labels.done = Some(row.expected == Expected::Yes),
                Question::Preservation => labels.kept = Some(row.expected == Expected::Yes),
            }
        }
        if all.is_empty() {
            return Err(failed("it has no rows".into()));
        }
        let limits = ImageLimits::default();
        let mut found: Vec<Self> = Vec::with_capacity(all.len());
        for (line, pictures, asked) in all {
            let [before, after] = pictures.map(|name| read_picture(&folder.join(name), &limits));
            let (before, after) = (before?.rgb, after?.rgb);
            let size = found
                .first()
                .map_or(before.dimensions(), |first| first.before.dimensions());
            if before.dimensions() != size || after.dimensions() != size {
                return Err(at_line(
                    line,
                    "its pictures are of another size than those before".into(),
                ));
            }
            // where fewer are asked they are asked again, without a label
            let asked = std::array::from_fn(|at| match asked.get(at) {
                Some(labels) => labels.clone(),
                None => Labels {
                    done: None,
                    kept: None,
                    ..asked[0].clone()
                },
            });
            found.push(Self {
                before,
                after,
                asked,
            });
        }
        Ok(found)
    }

    /// What is known about the answers, which stand at `places`.
    pub(super) fn hints(&self, places: &[AnswerPlaces]) -> Vec<Hint> {
        let mut hints = Vec::new();
        for (labels, places) in self.asked.iter().zip(places) {
            let known = [
                (Matter::Done, places.done, labels.done),
                (Matter::Kept, places.kept, labels.kept),
            ];
            for (matter, token, label) in known {
                hints.extend(label.map(|yes| Hint {
                    matter,
                    token,
                    right: usize::from(!yes),
                }));
            }
        }
        hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(lines: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, side) in [("a.png", 8), ("b.png", 8), ("c.png", 9)] {
            RgbImage::new(side, side)
                .save(dir.path().join(name))
                .unwrap();
        }
        fs::write(dir.path().join("pairs.jsonl"), lines.join("\n")).unwrap();
        dir
    }

    fn row(edited: &str, instruction: &str, question: &str, expected: &str) -> String {
        format!(
            r#"{{"reference": "a.png", "edited": "{edited}", "instruction": "{instruction}", "question": "{question}", "expected": "{expected}"}}"#
        )
    }

    #[test]
    fn rows_of_one_edit_are_read_together() {
        let rows = [
            row("b.png", "x", "edit", "no"),
            row("b.png", "x", "preservation", "yes"),
            row("b.png", "y", "preservation", "no"),
            row("a.png", "x", "edit", "yes"),
        ];
        let dir = folder(&rows.each_ref().map(String::as_str));
        let found = Labelled::read(&dir.path().join("pairs.jsonl")).unwrap();
        assert_eq!(found.len(), 2);
        let answers = found[0]
            .asked
            .each_ref()
            .map(|labels| (labels.done, labels.kept));
        assert_eq!(
            answers,
            [(Some(false), Some(true)), (None, Some(false)), (None, None)]
        );
        let places = [1, 2, 3].map(|at| AnswerPlaces {
            colon: 10 * at,
            done: 10 * at + 1,
            kept: 10 * at + 2,
        });
        let hints = found[0].hints(&places);
        let hints: Vec<_> = hints.iter().map(|hint| (hint.token, hint.right)).collect();
        assert_eq!(hints, [(11, 1), (12, 0), (22, 1)]);
    }

    #[test]
    fn a_list_that_cannot_be_used_is_refused_with_its_line() {
        let of = |rows: &[&str]| {
            let dir = folder(rows);
            Labelled::read(&dir.path().join("pairs.jsonl"))
                .unwrap_err()
                .to_string()
        };
        assert!(of(&[]).contains("no rows"));
        let good = row("b.png", "x", "edit", "no");
        assert!(of(&[&good, "{"]).contains("line 2"));
        assert!(of(&[&good, &row("c.png", "x", "edit", "no")]).contains("another size"));
        assert!(of(&[&row("d.png", "x", "edit", "no")]).contains("d.png"));
    }
}

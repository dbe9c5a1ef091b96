//! The judge's answers to the rows of a folder.
use std::path::Path;

use super::{
    folder::{FolderError, LabelledFolder, LineProblem},
    row::{Row, RowProblem},
};
use crate::{
    cli::{error::CliError, input::read_image, progress::RowBar},
    pipelines::{
        image::ImageLimits,
        judge::{Judge, JudgeError, ScoreInput, check::Outcome},
        questions::{EditType, QuestionKind},
    },
};

/// An answer with what it is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answered {
    pub question: QuestionKind,
    pub edit_type: EditType,
    pub outcome: Outcome,
}

/// Refuses what the judge cannot be asked, all of it, before the first answer.
pub(super) fn check(judge: &Judge, folder: &LabelledFolder) -> Result<(), FolderError> {
    let refused = |row: &Row| {
        let problem = RowProblem::Judge(judge.check(&row.edit).err()?);
        Some(LineProblem {
            line: row.line,
            problem,
        })
    };
    let problems: Vec<_> = folder.rows.iter().filter_map(refused).collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(FolderError::Rows {
        path: folder.list.clone(),
        problems,
    })
}

/// Scores each edit once, as `/v1/score` does, however many rows are about it.
pub(super) fn ask(
    judge: &Judge,
    dir: &Path,
    mut rows: Vec<Row>,
    limits: &ImageLimits,
) -> Result<Vec<Answered>, CliError> {
    rows.sort_by(|a, b| a.key().cmp(&b.key()));
    let bar = RowBar::new(rows.len());
    let mut answers = Vec::with_capacity(rows.len());
    for rows in rows.chunk_by(|a, b| a.key() == b.key()) {
        let row = &rows[0];
        let input = ScoreInput {
            reference: read_image(&dir.join(&row.reference), limits)?.rgb,
            edited: read_image(&dir.join(&row.edited), limits)?.rgb,
            edit: row.edit.clone(),
            questions: Vec::new(),
        };
        let score = judge.score(&input).map_err(|source| judged(row, source))?;
        for row in rows {
            let mut verdicts = score.verdicts.iter();
            let verdict = verdicts.find(|verdict| verdict.question.kind == row.question);
            let verdict = verdict.expect("every edit gets both questions");
            answers.push(Answered {
                question: row.question,
                edit_type: row.edit.edit_type,
                outcome: Outcome::new(verdict, row.label),
            });
        }
        bar.advance(rows.len());
    }
    bar.finish();
    Ok(answers)
}

fn judged(row: &Row, source: JudgeError) -> CliError {
    CliError::JudgedRow {
        line: row.line,
        source,
    }
}

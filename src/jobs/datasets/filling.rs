//! Has a model judge and fill the rows that lack a field. What a client gave is never changed.
use std::time::Instant;

use super::{
    CaptionReport, RowVerdict, SentFiles, Verdict,
    rows::{SentRow, UsableRow, UsableRows},
};
use crate::jobs::captions::{Answer, CaptionError, Captioner, Field, Question, Texts};

/// Asks about every row that lacks a field; none where none does.
pub(super) async fn fill(captioner: &Captioner, set: &mut UsableRows) -> Option<CaptionReport> {
    let begun = Instant::now();
    let UsableRows { rows, images, .. } = set;
    let mut open: Vec<&mut UsableRow> = rows.iter_mut().filter(|row| is_open(&row.row)).collect();
    if open.is_empty() {
        return None;
    }
    let questions: Vec<_> = open.iter().map(|row| row.row.clone()).collect();
    let questions = questions.into_iter().map(|row| question(row, images));
    let answers = captioner.ask(questions).await;
    let mut report = CaptionReport {
        model: captioner.model().to_owned(),
        ..CaptionReport::default()
    };
    for (row, answer) in open.iter_mut().zip(answers) {
        let verdict = judged(row, answer);
        match verdict.verdict {
            Verdict::Valid => report.valid += 1,
            Verdict::Invalid => report.invalid += 1,
            Verdict::Unanswered => report.unanswered += 1,
        }
        verdict
            .filled
            .iter()
            .for_each(|field| report.filled.count(*field));
        report.rows.push(verdict);
    }
    report.advice = advice(&report);
    tracing::info!(
        model = report.model,
        valid = report.valid,
        invalid = report.invalid,
        unanswered = report.unanswered,
        secs = begun.elapsed().as_secs_f32(),
        "asked the caption model about rows of a set"
    );
    Some(report)
}

fn is_open(row: &SentRow) -> bool {
    !known(row).missing().is_empty()
}

/// What a client gave; blank is not given.
fn known(row: &SentRow) -> Texts {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    Texts {
        source_caption: given(&row.source_caption),
        edited_caption: given(&row.edited_caption),
        edit_type: row.edit_type,
        object: given(&row.object),
    }
}

fn question(row: SentRow, images: &SentFiles) -> Question {
    Question {
        picture: images.get(&row.image).cloned().unwrap_or_default(),
        known: known(&row),
        instruction: row.instruction,
    }
}

/// Fills the row with what the model said; answers what there is to be said of it.
fn judged(usable: &mut UsableRow, answer: Result<Answer, CaptionError>) -> RowVerdict {
    let mut verdict = RowVerdict {
        line: usable.line,
        verdict: Verdict::Unanswered,
        reason: String::new(),
        filled: Vec::new(),
        problem: None,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            verdict.problem = Some(error.to_string());
            return verdict;
        }
    };
    verdict.reason = answer.reason;
    if !answer.makes_sense {
        verdict.verdict = Verdict::Invalid;
        return verdict;
    }
    verdict.verdict = Verdict::Valid;
    match answer.texts {
        Ok(texts) => verdict.filled = fill_row(&mut usable.row, texts),
        Err(error) => verdict.problem = Some(error.to_string()),
    }
    verdict
}

/// The fields that were missing and are there now.
fn fill_row(row: &mut SentRow, said: Texts) -> Vec<Field> {
    let missing = known(row).missing();
    let mut filled = missing.clone();
    filled.retain(|field| said.has(*field));
    for field in &filled {
        match field {
            Field::SourceCaption => row.source_caption.clone_from(&said.source_caption),
            Field::EditedCaption => row.edited_caption.clone_from(&said.edited_caption),
            Field::EditType => row.edit_type = said.edit_type,
            Field::Object => row.object.clone_from(&said.object),
        }
    }
    filled
}

fn advice(report: &CaptionReport) -> Option<String> {
    let problems = report.rows.iter().filter(|row| row.problem.is_some());
    let rows = problems.count();
    (rows > 0).then(|| {
        format!(
            "{rows} rows are filled by rule, as the model did not answer; their problem says why. To have them filled by the model, delete the set or choose another name, and send it again once the model answers (operator: see [captions] of the settings)"
        )
    })
}

//! A score as a terminal shows it.
use comfy_table::{ContentArrangement, Table, presets};

use crate::pipelines::{
    judge::Score,
    questions::{Answer, QuestionKind},
};

/// Columns below which questions cannot be read.
const MIN_WIDTH: u16 = 60;

/// A table of the questions, and the three numbers below it.
pub(super) fn render(score: &Score) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["question", "expected", "p(yes)", "p(correct)"]);
    // Not every terminal tells its width.
    if table.width().is_none_or(|width| width < MIN_WIDTH) {
        table.set_width(MIN_WIDTH);
    }
    for verdict in &score.verdicts {
        let question = &verdict.question;
        let text = match question.kind {
            QuestionKind::Custom => question.text.clone(),
            QuestionKind::Edit => format!("edit\n{}", question.text),
            QuestionKind::Preservation => format!("preservation\n{}", question.text),
        };
        table.add_row([
            text,
            match question.expected {
                Answer::Yes => "yes".to_owned(),
                Answer::No => "no".to_owned(),
            },
            format!("{:.4}", verdict.p_yes),
            format!("{:.4}", verdict.p_correct),
        ]);
    }
    let numbers = [
        ("edit success", score.edit_success),
        ("preservation", score.preservation),
        ("overall", score.overall),
    ];
    let lines = numbers.map(|(name, value)| format!("{name:<13} {value:.4}"));
    format!("{table}\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::{
        judge::Verdict,
        questions::{Question, Shows},
    };

    #[test]
    fn every_question_and_number_is_shown() {
        let question = Question {
            kind: QuestionKind::Edit,
            shows: Shows::Edited,
            text: "Is the hat gone?".into(),
            expected: Answer::No,
        };
        let score = Score {
            verdicts: vec![Verdict {
                question,
                yes_logit: 1.0,
                no_logit: 2.0,
                temperature: 1.0,
                p_yes: 0.25,
                p_correct: 0.75,
            }],
            edit_success: 0.75,
            preservation: 1.0,
            overall: 0.75,
            warnings: Vec::new(),
        };
        let shown = render(&score);
        for part in [
            "Is the hat gone?",
            "0.2500",
            "0.7500",
            "no",
            "overall       0.7500",
        ] {
            assert!(shown.contains(part), "no {part:?} in:\n{shown}");
        }
    }
}

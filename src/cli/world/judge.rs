//! `npedit world judge-check`: how far a judge of the world can be trusted.
use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value, json};

use super::{JudgeArgs, Seen, controls};
use crate::{
    cli::{args::start_quietly, error::CliError, score},
    pipelines::{
        judge::{Judge, Looked, ScoreInput},
        questions::{EditDescription, EditType as Named},
    },
    world::{Control, Controls, EditType, Share, Tally, Trial, View, WrongEdit, balanced_accuracy},
};

/// The world's own size.
const SIDE_PX: u32 = 64;

impl Seen {
    fn view(self) -> View {
        let square = View::square(SIDE_PX);
        match self {
            Self::Square => square,
            Self::Wide => View {
                width_px: 96,
                ..square
            },
            Self::Shifted => View {
                shift: [0.03, -0.06],
                ..square
            },
        }
    }
}

pub(super) fn run(args: &JudgeArgs) -> Result<(), CliError> {
    let mut config = start_quietly(&args.settings.given())?;
    config.judge.reference = Some(args.dir.display().to_string());
    let judge = score::load(&config)?;
    let said = ask(&judge, (args.scenes, args.seed), &args.view.view())?;
    let text = if args.json || !io::stdout().is_terminal() {
        let report = json!({
            "judge": {"name": judge.identity().name, "sha256": judge.identity().sha256},
            "scenes": args.scenes,
            "seed": args.seed,
            "view": format!("{:?}", args.view).to_lowercase(),
            "balanced_accuracy": balanced(&said),
            "attempts": controls::report(&said),
        });
        serde_json::to_string_pretty(&report).expect("numbers and texts are JSON")
    } else {
        controls::table(&said)
    };
    writeln!(io::stdout(), "{text}").map_err(CliError::Stdout)
}

/// What `judge` says of every attempt at so many edits, drawn with a seed: Yes where it is surer of that than of No.
pub(super) fn ask(
    judge: &Judge,
    (scenes, seed): (u64, u64),
    view: &View,
) -> Result<Controls, CliError> {
    let mut said = Controls::default();
    let mut looked = Looked::default();
    for index in 0..scenes {
        for trial in Trial::all(index, seed, view) {
            let edit_type: Option<Named> = trial.edit.edit_type().question_name().parse().ok();
            let input = ScoreInput {
                reference: trial.before(),
                edited: trial.after(),
                edit: EditDescription {
                    instruction: trial.edit.instruction.clone(),
                    edit_type: edit_type.unwrap_or_default(),
                    object: trial.edit.object.clone(),
                },
                questions: Vec::new(),
            };
            let score = judge.score_after(&mut looked, &input)?;
            said.add(&trial, score.edit_success > 0.5, score.preservation > 0.5);
        }
    }
    Ok(said)
}

/// Accuracy of the two answers together, by type of edit and by kind of wrong edit.
pub(super) fn balanced(said: &Controls) -> Value {
    let is_wrong = |control: &Control| matches!(control, Control::Wrong(_));
    let sum = |wrong: bool, of: &dyn Fn(Control) -> Tally| {
        let some = Control::ALL.into_iter().filter(|c| is_wrong(c) == wrong);
        some.map(of).fold(Tally::default(), Tally::sum)
    };
    let overall = |control| said.overall(control);
    let right = sum(false, &overall);
    let by_type = EditType::ALL.map(|kind| {
        let of = |control| said.of(control, kind);
        let share = balanced_accuracy(sum(false, &of), sum(true, &of));
        (kind.name().to_owned(), share_json(share))
    });
    let by_kind = WrongEdit::ALL.map(|how| {
        let wrong = said.overall(Control::Wrong(how));
        let share = balanced_accuracy(right, wrong);
        (how.name().to_owned(), share_json(share))
    });
    json!({
        "all": share_json(balanced_accuracy(right, sum(true, &overall))),
        "by_type": by_type.into_iter().collect::<Map<_, _>>(),
        "by_kind": by_kind.into_iter().collect::<Map<_, _>>(),
    })
}

fn share_json(Share { mean, ci95 }: Share) -> Value {
    json!({"mean": mean, "ci95": ci95})
}

//! `npedit world controls`: how far the oracle can be trusted.
use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use super::ControlsArgs;
use crate::{
    cli::error::CliError,
    world::{Control, Controls, EditType, Share, Tally, View},
};

/// Scenes are judged at the size that the tiny bundle ships.
const SIDE_PX: u32 = 64;

pub(super) fn run(args: &ControlsArgs) -> Result<(), CliError> {
    let controls = Controls::run(args.scenes, args.seed, &View::square(SIDE_PX));
    let text = if args.json || !io::stdout().is_terminal() {
        let report = json!({
            "scenes": args.scenes,
            "seed": args.seed,
            "size": SIDE_PX,
            "controls": report(&controls),
        });
        serde_json::to_string_pretty(&report).expect("numbers and texts are JSON")
    } else {
        table(&controls)
    };
    writeln!(io::stdout(), "{text}").map_err(CliError::Stdout)
}

/// By attempt, all types together and each.
pub(super) fn report(controls: &Controls) -> Map<String, Value> {
    let of = |control: Control| {
        let mut all = counted(controls.overall(control));
        let by_type =
            EditType::ALL.map(|kind| (kind.name().to_owned(), counted(controls.of(control, kind))));
        all["by_type"] = Value::Object(by_type.into_iter().collect());
        (control.name().to_owned(), all)
    };
    Control::ALL.map(of).into_iter().collect()
}

fn counted(tally: Tally) -> Value {
    let share = |count| {
        let Share { mean, ci95 } = tally.share(count);
        json!({"mean": mean, "ci95": ci95})
    };
    if tally.attempts == 0 {
        return json!({"attempts": 0});
    }
    json!({
        "attempts": tally.attempts,
        "success": share(tally.success),
        "done": share(tally.done),
        "kept": share(tally.kept),
    })
}

/// Shares in per cent, with the 95 % interval of the first.
pub(super) fn table(controls: &Controls) -> String {
    let mut table = Table::new();
    let columns = [
        "attempt at an edit",
        "edits",
        "success (95 %)",
        "done",
        "kept",
    ];
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.into_iter().chain(EditType::ALL.map(EditType::name)));
    let per_cent = |share: f64| format!("{:.1}", 100.0 * share);
    for control in Control::ALL {
        let all = controls.overall(control);
        let success = all.share(all.success);
        let [low, high] = success.ci95.map(per_cent);
        let mut row = vec![
            control.name().replace('_', " "),
            all.attempts.to_string(),
            format!("{} ({low}-{high})", per_cent(success.mean)),
            per_cent(all.share(all.done).mean),
            per_cent(all.share(all.kept).mean),
        ];
        for kind in EditType::ALL {
            let tally = controls.of(control, kind);
            row.push(match tally.attempts {
                0 => "-".to_owned(),
                _ => per_cent(tally.share(tally.success).mean),
            });
        }
        table.add_row(row);
    }
    table.to_string()
}

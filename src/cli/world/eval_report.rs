//! What `npedit world eval` prints.
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use super::{
    EvalArgs, controls,
    eval::Methods,
    trials::{ByType, Found},
};
use crate::world::{Controls, EditType, Share, Tally};

impl Found {
    fn and(self, other: Self) -> Self {
        Self {
            tally: self.tally.sum(other.tally),
            judged: [0, 1].map(|question| self.judged[question] + other.judged[question]),
        }
    }

    /// Success, done and kept, with what the judge makes of it.
    fn json(&self) -> Value {
        let Tally {
            attempts,
            done,
            kept,
            success,
        } = self.tally;
        let share = |count| {
            let Share { mean, ci95 } = self.tally.share(count);
            json!({"mean": mean, "ci95": ci95})
        };
        let mean = |sum: f64| sum / f64::from(attempts.max(1));
        json!({
            "attempts": attempts,
            "success": share(success),
            "done": share(done),
            "kept": share(kept),
            "p_yes_edit": mean(self.judged[0]),
            "p_yes_preservation": mean(self.judged[1]),
        })
    }
}

/// Of the types that editors are trained on.
pub(super) fn trained(by_type: &ByType) -> Found {
    let of = |kind: &EditType| by_type.get(kind).copied().unwrap_or_default();
    EditType::TRAINED
        .iter()
        .map(of)
        .fold(Found::default(), Found::and)
}

pub(super) fn json(args: &EvalArgs, methods: &Methods, oracle: &Controls) -> String {
    let methods = methods.iter().map(|(name, by_type)| {
        let types = by_type.iter();
        let types = types.map(|(kind, found)| (kind.name().to_owned(), found.json()));
        let mut all = trained(by_type).json();
        all["by_type"] = Value::Object(types.collect());
        (name.clone(), all)
    });
    let report = json!({
        "scenes": args.scenes,
        "seed": args.seed,
        "steps": args.steps,
        "methods": methods.collect::<Map<_, _>>(),
        "controls": controls::report(oracle),
    });
    serde_json::to_string_pretty(&report).expect("numbers and texts are JSON")
}

/// Shares in per cent, with the 95 % interval of the first; success by type.
pub(super) fn table(methods: &Methods) -> String {
    let mut table = Table::new();
    let columns = [
        "method",
        "success (95 %)",
        "done",
        "kept",
        "judge: done, kept",
    ];
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.into_iter().chain(EditType::ALL.map(EditType::name)));
    let per_cent = |share: f64| format!("{:.1}", 100.0 * share);
    for (name, by_type) in methods {
        let Found { tally, judged } = trained(by_type);
        let success = tally.share(tally.success);
        let [low, high] = success.ci95.map(per_cent);
        let judged = judged.map(|sum| per_cent(sum / f64::from(tally.attempts.max(1))));
        let mut row = vec![
            name.replace('_', " "),
            format!("{} ({low}-{high})", per_cent(success.mean)),
            per_cent(tally.share(tally.done).mean),
            per_cent(tally.share(tally.kept).mean),
            judged.join(", "),
        ];
        for kind in EditType::ALL {
            let tally = by_type.get(&kind).map_or_else(Tally::default, |f| f.tally);
            row.push(per_cent(tally.share(tally.success).mean));
        }
        table.add_row(row);
    }
    table.to_string()
}

//! What a check found, as a terminal shows it.
use comfy_table::{ContentArrangement, Table, presets};

use super::{
    fitted::Fitted,
    groups::{Group, name},
};
use crate::pipelines::judge::check::Summary;

/// Columns below which the numbers would be broken.
const MIN_WIDTH: u16 = 90;

/// A table of all groups, and in words what they say.
pub(super) fn render(overall: &Summary, groups: &[Group], fitted: &[Fitted]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header([
            "rows about",
            "rows",
            "good",
            "accuracy",
            "AUC (95 %)",
            "ECE",
            "verdict",
        ]);
    // Not every terminal tells its width.
    if table.width().is_none_or(|width| width < MIN_WIDTH) {
        table.set_width(MIN_WIDTH);
    }
    table.add_row(row("everything".to_owned(), overall));
    for group in groups {
        table.add_row(row(group.name(), &group.summary()));
    }
    let fitted = fitted.iter().map(|fitted| {
        format!(
            "\n{}: temperature {:.4}, ECE {:.4} before and {:.4} after",
            name(fitted.question),
            fitted.temperature,
            fitted.expected_calibration_error_before,
            fitted.expected_calibration_error_after,
        )
    });
    format!(
        "{table}\nOver all {} rows this judge is {}.{}",
        overall.rows,
        words(overall),
        fitted.collect::<String>()
    )
}

fn row(name: String, summary: &Summary) -> [String; 7] {
    [
        name,
        summary.rows.to_string(),
        summary.good.to_string(),
        format!("{:.3}", summary.accuracy),
        summary.auc.map_or_else(
            || "-".to_owned(),
            |auc| format!("{:.3} ({:.3}-{:.3})", auc.value, auc.low, auc.high),
        ),
        format!("{:.3}", summary.expected_calibration_error),
        summary.standing.to_string(),
    ]
}

fn words(summary: &Summary) -> String {
    match summary.auc {
        None => format!("not to be told from chance: {}", summary.standing),
        Some(auc) => format!(
            "{} (AUC {:.3}, 95 % interval {:.3} to {:.3})",
            summary.standing, auc.value, auc.low, auc.high
        ),
    }
}

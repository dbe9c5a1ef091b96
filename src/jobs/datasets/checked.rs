//! Rows as a run reads them; what is still missing is filled by rule.
use std::collections::BTreeSet;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    CaptionReport, Report, SentFiles, Verdict,
    rows::{SentRow, UsableRows},
    rules,
};

/// A set that can be kept.
#[derive(Debug)]
pub(super) struct Checked {
    /// As [`crate::training::instruction_set`] reads them.
    pub rows: String,
    /// In the same form: rows that nobody trains on.
    pub rejected: String,
    /// By the path that the rows name.
    pub images: SentFiles,
    pub report: Report,
}

impl Checked {
    /// `captions` is what a model said of the rows, where one was asked.
    pub fn new(usable: UsableRows, captions: Option<CaptionReport>) -> Self {
        let UsableRows {
            rows: all,
            images,
            mut report,
        } = usable;
        let verdicts = captions.iter().flat_map(|captions| &captions.rows);
        let invalid = verdicts.filter(|row| row.verdict == Verdict::Invalid);
        let invalid: BTreeSet<usize> = invalid.map(|row| row.line).collect();
        let (mut rows, mut rejected) = (String::new(), String::new());
        for usable in all {
            match invalid.contains(&usable.line) {
                false => rows += &line_of(&usable.row, &mut report),
                // they count nowhere but among the verdicts
                true => rejected += &line_of(&usable.row, &mut Report::default()),
            }
        }
        report.captions = captions;
        report.bytes = images.values().map(Vec::len).sum::<usize>() as u64;
        report.sha256 = hex(&Sha256::digest(&rows));
        Self {
            rows,
            rejected,
            images,
            report,
        }
    }
}

/// A line as a run reads it; what is missing is filled by rule, and counted.
fn line_of(row: &SentRow, report: &mut Report) -> String {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let edit_type = row.edit_type.unwrap_or_else(|| {
        report.filled.edit_type += 1;
        rules::edit_type(&row.instruction)
    });
    let source = given(&row.source_caption);
    let edited = given(&row.edited_caption).unwrap_or_else(|| {
        report.filled.edited_caption += 1;
        rules::edited(source.as_deref(), &row.instruction)
    });
    report.rows += 1;
    *report.edit_types.entry(edit_type).or_default() += 1;
    let mut line = json!({
        "image": row.image,
        "instruction": row.instruction,
        "edited_caption": edited,
        "edit_type": edit_type,
        "object": given(&row.object).unwrap_or_default(),
    });
    if let Some(source) = source {
        line["source_caption"] = source.into();
    }
    format!("{line}\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

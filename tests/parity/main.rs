//! Every recorded output of the reference implementation against ours.
//!
//! `NPEDIT_GOLDEN_DIR` names another directory of recordings; `NPEDIT_PARITY_DEVICE=cuda` runs on the first GPU.
#![allow(clippy::unwrap_used)]
mod edit;
mod golden;
mod judge;
mod ledger;
mod schedule;
mod system;
mod t2i;
mod tolerance;
mod train;

use std::sync::OnceLock;

use golden::{Family, Variant};
use ledger::{Failure, Ledger};
use system::System;

/// Failures of all variants, each starting with its part. Every test waits for one shared run, so that
/// the account of a variant is complete whichever tests were asked for.
static FAILURES: OnceLock<Vec<String>> = OnceLock::new();

/// What is recorded of an editor, beside its judges.
const EDITOR: [&str; 7] = [
    "out.text.",
    "out.preprocess.",
    "out.edit.",
    "out.train.",
    "out.vectors.",
    "edit.",
    "train.",
];

fn run() -> Vec<String> {
    golden::variants().iter().flat_map(compare).collect()
}

fn compare(variant: &Variant) -> Vec<String> {
    let mut ledger = Ledger::new(variant);
    if variant.family == Family::Klein {
        if let Err(error) = judge::compare(variant, &mut ledger) {
            ledger.broken("judge", &error);
        }
        if let Err(error) = train::klein::compare(variant, &mut ledger) {
            ledger.broken("train", &error);
        }
        for part in EDITOR {
            ledger.skip_below(part, "FLUX.2-klein is not supported yet");
        }
        return ledger.finish();
    }
    match System::load(variant) {
        Ok(system) => {
            type Part = fn(&System, &mut Ledger) -> Result<(), Failure>;
            let parts: [(&str, Part); 4] = [
                ("edit.schedule", schedule::compare),
                ("edit", edit::compare),
                ("t2i", t2i::compare),
                ("train", train::compare),
            ];
            for (name, part) in parts {
                if let Err(error) = part(&system, &mut ledger) {
                    ledger.broken(name, &error);
                }
            }
        }
        Err(error) => {
            for part in ["edit.load", "t2i.load", "train.load"] {
                ledger.broken(part, &error);
            }
        }
    }
    if let Err(error) = judge::compare(variant, &mut ledger) {
        ledger.broken("judge", &error);
    }
    ledger.finish()
}

fn assert_agrees(part: &str) {
    let failures = FAILURES.get_or_init(run);
    let own: Vec<_> = failures
        .iter()
        .filter(|failure| failure.starts_with(&format!("{part} ")))
        .collect();
    assert!(own.is_empty(), "{} failed:\n{own:#?}", own.len());
}

#[test]
fn edit_agrees_with_every_record() {
    assert_agrees("edit");
}

#[test]
fn t2i_agrees_with_every_record() {
    assert_agrees("t2i");
}

#[test]
fn judge_agrees_with_every_record() {
    assert_agrees("judge");
}

#[test]
fn train_agrees_with_every_record() {
    assert_agrees("train");
}

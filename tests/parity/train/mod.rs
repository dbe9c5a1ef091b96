//! Forward and gradient of the training step, as far as it needs neither judge nor optimiser.
//!
//! The losses stand here: training itself is not built yet.
mod dmd;
mod fake_score;
mod rollout;
mod tracked;
mod warm_up;

use crate::{
    ledger::{Failure, Ledger},
    system::System,
};

pub use warm_up::logit_normal;

const NO_JUDGE: &str = "judge not built yet";
const NO_OPTIMISER: &str = "optimiser not built yet";

pub fn compare(system: &System, ledger: &mut Ledger) -> Result<(), Failure> {
    if system.variant.cases["train"].is_null() {
        return Ok(());
    }
    for (name, part) in [
        (
            "train.rollout",
            rollout::compare as fn(&System, &mut Ledger) -> Result<(), Failure>,
        ),
        ("train.fake_score", fake_score::compare),
        ("train.warmup", warm_up::compare),
    ] {
        if let Err(error) = part(system, ledger) {
            ledger.broken(name, &error);
        }
    }
    for output in system.variant.outputs() {
        if let Some(reason) = missing(&output) {
            ledger.skip(&output, reason);
        }
    }
    Ok(())
}

/// What an output of the training step needs that is not built yet.
fn missing(output: &str) -> Option<&'static str> {
    let output = output
        .strip_prefix("out.")
        .unwrap_or(output)
        .strip_prefix("train.")?;
    let has = |needles: &[&str]| {
        needles
            .iter()
            .any(|needle| output.split('.').any(|part| part == *needle))
    };
    if has(&[
        "opt",
        "adamw_full",
        "after1",
        "after2",
        "norm1",
        "norm2",
        "temperature",
        "clipped1",
        "clipped2",
    ]) {
        return Some(NO_OPTIMISER);
    }
    let of_judge = [
        "vlm",
        "total",
        "total_ps",
        "grad_vlm",
        "grad_total",
        "grad_total_ps",
        "param_grad_norms_total",
    ];
    let parts = [
        "dx0_vlm",
        "dx0_total",
        "dx0_total_ps",
        "p_yes_edit",
        "p_yes_identity",
        "pixel_values_edit",
    ];
    let ids = ["input_ids_edit", "input_ids_identity"];
    (has(&of_judge) || has(&parts) || has(&ids)).then_some(NO_JUDGE)
}

#[test]
fn only_judge_and_optimiser_are_left_out() {
    for (output, reason) in [
        ("out.train.main.grad_total.transformer.x", Some(NO_JUDGE)),
        ("train.main.fa4.expected.losses.vlm", Some(NO_JUDGE)),
        (
            "out.train.fake_full.after1.transformer.x",
            Some(NO_OPTIMISER),
        ),
        ("out.train.main.dx0_dmd_pp", None),
        ("train.fake_full.expected.grad_norm", None),
        ("out.judge.default.p_yes", None),
    ] {
        assert_eq!(missing(output), reason, "{output}");
    }
}

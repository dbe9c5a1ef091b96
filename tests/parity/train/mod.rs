//! Forward and gradient of the training step, and the parameters after it.
mod dmd;
mod fake_score;
mod judged;
pub mod klein;
mod losses;
mod rollout;
mod tracked;
mod updates;
mod warm_up;

use crate::{
    judge,
    ledger::{Failure, Ledger},
    system::System,
};

pub fn compare(system: &System, ledger: &mut Ledger) -> Result<(), Failure> {
    if system.variant.cases["train"].is_null() {
        return Ok(());
    }
    let judge = judge::load(system.variant, "judge-internvl3")?;
    let parts = [
        ("train.rollout", rollout::compare(system, &judge, ledger)),
        ("train.fake_score", fake_score::compare(system, ledger)),
        ("train.warmup", warm_up::compare(system, ledger)),
    ];
    for (name, outcome) in parts {
        if let Err(error) = outcome {
            ledger.broken(name, &error);
        }
    }
    Ok(())
}

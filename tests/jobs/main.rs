//! Jobs of real processes: killed, stopped, cut off from their storage.
//!
//! A few moments and jobs each; `NPEDIT_TEST_KILLS`, `NPEDIT_TEST_JOBS` and `NPEDIT_TEST_OUTAGE_SECS` ask for more, as
//! `.ci/kills` does.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]
mod client;
mod command;
mod kills;
mod outage;
mod place;
#[path = "../cli/process.rs"]
mod process;
mod proxy;
mod shared;
mod workers;

/// A count that the environment may raise.
fn count(variable: &str, otherwise: usize) -> usize {
    let asked = std::env::var(variable).ok();
    asked.map_or(otherwise, |text| text.parse().unwrap())
}

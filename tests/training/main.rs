//! `npedit train`: the real binary on the built-in bundle.
#![allow(clippy::unwrap_used)]
mod crash;
mod finished;
mod flow_grpo;
#[path = "../cli/process.rs"]
mod process;
mod refused;
mod setup;

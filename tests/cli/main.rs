//! The real binary, as a person or a script runs it.
#![allow(clippy::unwrap_used)]
mod adapter;
mod edit;
mod fake_hub;
mod health;
mod judge_check;
mod keys;
mod process;
mod pull;
mod score;
mod serve;
mod settings;
mod stdin;
mod traces;
mod usage;
mod world;

//! The real binary, as a person or a script runs it.
mod fake_hub;
mod process;
mod pull;
mod settings;
mod usage;

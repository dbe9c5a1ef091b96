//! npedit edits images by instruction in a few denoising steps.
//!
//! Imports flow one way (`tests/architecture.rs` holds the table):
//! `nn` -> `models`, `adapters` -> `pipelines` -> `engine`, `training` -> `http` -> `app`, `cli`.
pub mod access;
pub mod adapters;
pub mod app;
pub mod cli;
pub mod config;
pub mod engine;
pub mod fetch;
pub mod http;
pub mod jobs;
pub mod models;
pub mod nn;
pub mod pipelines;
pub mod storage;
pub mod telemetry;
pub mod training;
pub mod world;

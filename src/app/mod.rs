//! Composition root: from settings to loaded models, and to a running service.
mod adapter;
mod captions;
mod device;
mod editor;
mod error;
mod jobs;
mod judge;
mod judge_files;
mod loader;
mod service;
mod training;
mod worker;

pub use adapter::AdapterChoice;
pub use captions::captioner;
pub use error::AppError;
pub use judge_files::JudgeFiles;
pub use loader::Loader;
pub use service::Application;
pub use worker::Worker;

/// What whoever uses the embedded bundle has to know.
pub const BUILT_IN: &str = "the built-in bundle is tiny: it knows drawn scenes of coloured shapes (see npedit world sample) and no photos, name a larger one with --model";

//! Weights to forward passes, and where they come from.
pub mod bundle;
pub mod chat_template;
pub mod decoder;
pub mod error;
pub mod files;
#[cfg(test)]
mod finite_differences;
pub mod folder;
pub mod hub;
pub mod lpips;
pub mod qwen3;
pub mod random;
pub mod source;
pub mod vae;
pub mod vlm;
pub mod weights;
pub mod zimage;

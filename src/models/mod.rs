//! Weights to forward passes, and where they come from.
pub mod bundle;
pub mod error;
pub mod files;
#[cfg(test)]
mod finite_differences;
pub mod hub;
pub mod qwen3;
pub mod random;
pub mod source;
pub mod vae;
pub mod weights;
pub mod zimage;

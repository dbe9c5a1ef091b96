//! Weights to forward passes, and where they come from.
pub mod bundle;
pub mod hub;
pub mod source;

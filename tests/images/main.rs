//! What comes in as an image: refused or decoded right, bounded in memory, never a panic.
#![allow(clippy::unwrap_used)]
mod accepted;
mod colour;
mod craft;
mod encoded;
mod lanczos;
mod memory;
mod mutated;
mod orientation;
mod refused;

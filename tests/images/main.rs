//! What comes in as an image: refused or decoded right, bounded in memory, never a panic.
mod accepted;
mod colour;
mod craft;
mod encoded;
mod lanczos;
mod memory;
mod mutated;
mod orientation;
mod refused;

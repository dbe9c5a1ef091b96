//! What the generator and the fake score are trained on.
pub mod dmd;
pub mod flow;
pub mod grpo;
pub mod judge;

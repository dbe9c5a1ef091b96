//! One optimiser step of NP-Edit (arXiv 2510.14978): the losses, and what makes parameters of gradients.
pub mod checkpoint;
pub mod conditioning;
pub mod draws;
pub mod ema;
pub mod error;
pub mod guard;
pub mod instruction_set;
pub mod learning_rate;
pub mod losses;
pub mod optimiser;
pub mod order;
pub mod recipe;
pub mod stages;
pub mod terms;
pub mod trainer;
pub mod tuning;
pub mod unroll;

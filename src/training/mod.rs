//! One optimiser step of NP-Edit (arXiv 2510.14978): the losses, and what makes parameters of gradients.
pub mod losses;
pub mod optimiser;

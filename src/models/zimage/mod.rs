//! The Z-Image transformer: text-to-image, and with a reference image as a first frame.
mod block;
mod captions;
mod config;
mod embedders;
mod final_layer;
mod layout;
mod lora;
mod patches;
mod rope;
mod times;
mod transformer;

pub use captions::Captions;
pub use config::{Config, TOKEN_MULTIPLE};
pub use layout::{Layout, PaddingAttention};
pub use lora::LoraWeights;
pub use rope::{Position, Rotations, caption_positions, image_positions};
pub use times::{Times, model_time};
pub use transformer::{GENERATOR_PREFIX, Prepared, Transformer};

#[cfg(test)]
mod recompute_tests;
#[cfg(test)]
mod tests;

//! Layers and operations, each with a gradient proven against finite differences.
//!
//! The only module that names `candle_nn`, because several of its operations answer `Ok` and drop the gradient.
//! A frozen weight (`!weight.track_op()`) never receives a gradient: the operations that take one carry their own backward.
mod activation;
mod attention;
mod branches;
mod choice;
mod clamp;
mod compute;
mod conv;
mod device;
mod feed_forward;
mod graft;
mod group_norm;
mod held;
mod kernels;
mod lanes;
mod layer_norm;
mod layer_scale;
mod linear;
mod lora;
mod max_pool;
mod modulation;
mod recompute;
mod residual;
mod rms_norm;
mod rope;
mod stretch;
mod upsample;

pub use activation::{gelu, gelu_erf, relu, silu, silu_mul, tanh};
pub use attention::{KeyMask, attention};
pub use branches::attention_in_branches;
pub use choice::{Choice, choice_losses};
pub use clamp::{clamp, clamp_closed};
pub use compute::Compute;
pub use conv::{Conv2d, Padding};
pub use feed_forward::{GeluForm, gelu_feed_forward, swiglu};
pub use group_norm::GroupNorm;
pub use held::Held;
pub use lanes::Lanes;
pub use layer_norm::LayerNorm;
pub use layer_scale::LayerScale;
pub use linear::Linear;
pub use lora::Lora;
pub use max_pool::max_pool_2x;
pub use modulation::{PerToken, modulate};
pub use recompute::{Activations, Collected};
pub use residual::{add, add_to};
pub use rms_norm::RmsNorm;
pub use rope::{rope_halves, rope_pairs};
pub use stretch::Stretch;
pub use upsample::upsample_nearest_2x;

#[cfg(test)]
mod tests;

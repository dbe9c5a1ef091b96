//! One request, in order: preprocess, encode, denoise, decode.
//!
//! Nothing here knows a queue or a socket. `denoise` serves and trains: what is trained is by construction what production
//! runs, so nothing here detaches (a tensor with no `Var` upstream records no graph).
pub mod bundle;
pub mod byte_lru;
pub mod denoise;
pub mod edit;
pub mod edit_type;
pub mod error;
pub mod identity;
pub mod image;
pub mod judge;
pub mod noise;
pub mod noise_file;
pub mod progress;
pub mod questions;
pub mod request;
pub mod sampler;
pub mod sigmas;
pub mod text;
pub mod text_to_image;
pub mod velocity;

//! One request, in order: preprocess, encode, denoise, decode.
pub mod image;

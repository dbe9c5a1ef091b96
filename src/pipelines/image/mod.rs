//! Bytes to an sRGB image and back: decoding under limits, resizing, pixels, encoding.
mod alpha;
mod colour;
mod decode;
mod encode;
mod error;
mod jpeg;
mod limits;
mod mask;
mod orientation;
mod pixels;
mod png;
mod raster;
mod resize;
mod size;
mod sniff;
mod webp;

pub use decode::{SourceImage, decode};
pub use encode::{OutputFormat, encode};
pub use error::{ImageError, ImageWarning};
pub use image::RgbImage;
pub use limits::ImageLimits;
pub use mask::Mask;
pub use pixels::{from_pixels, to_pixels};
pub use resize::resize_lanczos;
pub use size::{OutputSize, Preprocess, model_size};
pub use sniff::SourceFormat;

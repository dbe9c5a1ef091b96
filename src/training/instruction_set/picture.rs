//! Pictures of a row, decoded under limits.
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::pipelines::image::{self, ImageError, ImageLimits, SourceImage};

/// A picture that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("{}: {source}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: {source}", path.display())]
    Image {
        path: PathBuf,
        #[source]
        source: ImageError,
    },
}

/// The picture in a file.
///
/// # Errors
/// It cannot be read, is no picture, or is beyond `limits`.
pub fn read_picture(path: &Path, limits: &ImageLimits) -> Result<SourceImage, PictureError> {
    let unreadable = |source| PictureError::Read {
        path: path.into(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // one byte more than the limit is enough for `decode` to refuse
    let mut file = file.take(limits.max_bytes as u64 + 1);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    image::decode(&bytes, limits).map_err(|source| PictureError::Image {
        path: path.into(),
        source,
    })
}

//! What a command reads: checked before a model is loaded.
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::error::Unusable;
use crate::pipelines::image::{self, ImageLimits, SourceImage};

/// Means stdin or stdout.
pub(super) const STREAM: &str = "-";

pub(super) fn check_instruction(instruction: &str, max: usize) -> Result<(), Unusable> {
    match instruction.len() {
        _ if instruction.trim().is_empty() => Err(Unusable::NoInstruction),
        bytes if bytes > max => Err(Unusable::LongInstruction { bytes, max }),
        _ => Ok(()),
    }
}

pub(super) fn read_image(path: &Path, limits: &ImageLimits) -> Result<SourceImage, Unusable> {
    let unreadable = |source| Unusable::Input {
        path: path.to_owned(),
        source,
    };
    let bytes = if path == Path::new(STREAM) {
        read_up_to(io::stdin().lock(), limits.max_bytes)
    } else {
        File::open(path).and_then(|file| read_up_to(file, limits.max_bytes))
    };
    let bytes = bytes.map_err(unreadable)?;
    image::decode(&bytes, limits).map_err(|source| Unusable::Image {
        path: path.to_owned(),
        source,
    })
}

/// One byte more than the limit is enough for `decode` to refuse.
fn read_up_to(reader: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

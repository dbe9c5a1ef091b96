//! The values that http hands in and gets back: no tensor among them.
use std::time::{Duration, Instant};

use crate::pipelines::image;

use super::{
    EditInput, EditWarning, ImageError, NoiseSource, OutputFormat, OutputSize, PreprocessRule,
    Sigmas, SourceImage, StageTimings, worker::Done,
};

/// One validated edit.
#[derive(Clone, Debug)]
pub struct EditRequest {
    pub image: SourceImage,
    pub instruction: String,
    /// One image per seed.
    pub seeds: Vec<u64>,
    /// Denoising steps, within [`super::STEPS`].
    pub steps: usize,
    pub size: OutputSize,
    pub preprocess: PreprocessRule,
    pub output: OutputFormat,
}

/// What one edit gave.
#[derive(Clone, Debug)]
pub struct Edited {
    pub images: Vec<EncodedImage>,
    pub sigmas: Sigmas,
    pub warnings: Vec<EditWarning>,
    /// Wait for the device.
    pub queued: Duration,
    pub stages: StageTimings,
    /// Time to encode the images.
    pub encoding: Duration,
}

/// One image as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedImage {
    pub bytes: Vec<u8>,
    pub seed: u64,
    pub width: u32,
    pub height: u32,
}

impl From<EditRequest> for EditInput {
    fn from(request: EditRequest) -> Self {
        Self {
            image: request.image,
            instruction: request.instruction,
            noise: NoiseSource::Seeds(request.seeds),
            steps: request.steps,
            size: request.size,
            preprocess: request.preprocess,
        }
    }
}

/// Encodes the images that the device thread gave, one per seed.
pub(super) fn encode(
    done: Done,
    seeds: &[u64],
    format: &OutputFormat,
) -> Result<Edited, ImageError> {
    let start = Instant::now();
    let pictures = done.output.images.iter().zip(seeds);
    let images = pictures
        .map(|(picture, &seed)| {
            Ok(EncodedImage {
                bytes: image::encode(&picture.rgb, format)?,
                seed,
                width: picture.rgb.width(),
                height: picture.rgb.height(),
            })
        })
        .collect::<Result<_, ImageError>>()?;
    Ok(Edited {
        images,
        sigmas: done.output.sigmas,
        warnings: done.output.warnings,
        queued: done.queued,
        stages: done.output.timings,
        encoding: start.elapsed(),
    })
}

//! The values that http hands in and gets back: no tensor among them.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::pipelines::image;

use super::{
    AppliedAdapter, EditDescription, EditInput, EditWarning, ImageError, ImageLimits, Mask,
    NoiseSource, OutputFormat, OutputSize, PreprocessRule, Previews, Progress, Reuse, RgbImage,
    Score, Sigmas, SourceImage, StageTimings, Tokens, work::JudgedEdit, worker::Done,
};

/// One validated edit.
#[derive(Clone, Debug)]
pub struct EditRequest {
    pub image: SourceImage,
    pub instruction: String,
    /// Held until the request is answered.
    pub adapter: Option<AppliedAdapter>,
    /// One image per seed.
    pub seeds: Vec<u64>,
    /// Denoising steps, within [`super::STEPS`].
    pub steps: usize,
    pub size: OutputSize,
    pub preprocess: PreprocessRule,
    pub output: OutputFormat,
    pub judging: Judging,
    pub watch: Option<Watch>,
    /// Of the size of the image; what it keeps is laid over the edit.
    pub mask: Option<Arc<Mask>>,
}

/// Who follows an edit while it runs.
#[derive(Clone, Debug)]
pub struct Watch {
    pub events: mpsc::UnboundedSender<Progress>,
    pub previews: Previews,
}

/// Which images of an edit are answered, and whether they are judged before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judging {
    /// All of them, unjudged.
    Unjudged,
    /// All of them, each with its score.
    Each(EditDescription),
    /// The one with the highest `overall`; of equals the first.
    Best(EditDescription),
}

/// A seed, and what the judge makes of its image.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub seed: u64,
    pub score: Score,
}

/// What one edit gave.
#[derive(Clone, Debug)]
pub struct Edited {
    pub images: Vec<EncodedImage>,
    /// Every image that was judged, in the order of the seeds.
    pub candidates: Vec<Candidate>,
    pub sigmas: Sigmas,
    pub warnings: Vec<EditWarning>,
    /// Wait for the device.
    pub queued: Duration,
    pub stages: StageTimings,
    /// Time to judge the images.
    pub judging: Duration,
    /// Time to encode the images.
    pub encoding: Duration,
    pub reuse: Reuse,
    pub tokens: Tokens,
    /// Where a mask keeps everything: largest difference of a channel between the input and what the files hold.
    pub kept_difference: Option<u8>,
}

/// What one request for scores gave.
#[derive(Clone, Debug)]
pub struct Scored {
    /// One per pair of images, in order.
    pub scores: Vec<Score>,
    /// Wait for the device.
    pub queued: Duration,
    /// Time on the device.
    pub judging: Duration,
}

impl Judging {
    /// What the edit was meant to do, where it is judged.
    pub fn edit(&self) -> Option<&EditDescription> {
        match self {
            Self::Unjudged => None,
            Self::Each(edit) | Self::Best(edit) => Some(edit),
        }
    }
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

/// How the images of an edit are answered.
pub(super) struct Answering {
    pub seeds: Vec<u64>,
    pub output: OutputFormat,
    pub judging: Judging,
    /// The mask, and the picture that it keeps parts of.
    pub masked: Option<(Arc<Mask>, RgbImage)>,
}

impl Answering {
    /// Encodes the images that are answered.
    pub fn encode(&self, done: Done<JudgedEdit>) -> Result<Edited, ImageError> {
        let start = Instant::now();
        let JudgedEdit {
            output,
            scores,
            judging,
        } = done.output;
        let seeds = self.seeds.iter().copied();
        let scored = seeds.clone().zip(scores);
        let candidates: Vec<_> = scored
            .map(|(seed, score)| Candidate { seed, score })
            .collect();
        let only = match &self.judging {
            Judging::Best(_) => best(&candidates),
            Judging::Unjudged | Judging::Each(_) => None,
        };
        let images = output
            .images
            .iter()
            .zip(seeds)
            .filter(|(_, seed)| only.is_none_or(|only| only == *seed))
            .map(|(picture, seed)| {
                Ok(EncodedImage {
                    bytes: image::encode(&picture.rgb, &self.output)?,
                    seed,
                    width: picture.rgb.width(),
                    height: picture.rgb.height(),
                })
            })
            .collect::<Result<Vec<_>, ImageError>>()?;
        let kept_difference = self.kept_difference(&images)?;
        Ok(Edited {
            kept_difference,
            tokens: output.tokens,
            images,
            candidates,
            sigmas: output.sigmas,
            warnings: output.warnings,
            queued: done.queued,
            stages: output.timings,
            judging,
            encoding: start.elapsed(),
            reuse: output.reuse,
        })
    }
}

impl Answering {
    /// Looks into the files themselves: a JPEG keeps no pixel exactly.
    fn kept_difference(&self, images: &[EncodedImage]) -> Result<Option<u8>, ImageError> {
        let Some((mask, original)) = &self.masked else {
            return Ok(None);
        };
        let mut largest = 0;
        for image in images {
            let answered = image::decode(&image.bytes, &OWN_FILES)?.rgb;
            largest = largest.max(mask.difference(original, &answered));
        }
        Ok(Some(largest))
    }
}

/// Our own files need no bounds.
const OWN_FILES: ImageLimits = ImageLimits {
    max_pixels: u64::MAX,
    max_side_px: u32::MAX,
    max_bytes: usize::MAX,
};

/// Seed of the first candidate with the highest `overall`.
fn best(candidates: &[Candidate]) -> Option<u64> {
    let overall = |candidate: &Candidate| candidate.score.overall;
    let better = |best, next| {
        if overall(next) > overall(best) {
            next
        } else {
            best
        }
    };
    let best = candidates.iter().reduce(better)?;
    Some(best.seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equals_the_first_is_the_best() {
        let candidate = |seed, overall| Candidate {
            seed,
            score: Score {
                verdicts: Vec::new(),
                edit_success: overall,
                preservation: 1.0,
                overall,
                warnings: Vec::new(),
            },
        };
        let candidates = [(4, 0.1), (5, 0.7), (6, 0.7), (7, 0.2)];
        let candidates = candidates.map(|(seed, overall)| candidate(seed, overall));
        assert_eq!(best(&candidates), Some(5));
        assert_eq!(best(&[]), None);
    }
}

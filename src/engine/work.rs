//! What the device thread does for one request, and when it gives up.
use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use ::image::RgbImage;

use crate::pipelines::image;

use super::{
    AppliedAdapter, EditDescription, EditInput, EditOutput, EngineError, ImageLimits, Looked,
    Models, NoiseSource, OutputFormat, OutputSize, PreprocessRule, Profile, Score, ScoreInput,
};

/// Whether the client has left.
pub(super) type Left<'a> = dyn Fn() -> bool + 'a;

/// An edit, and what to ask the judge about its images.
#[derive(Debug)]
pub(super) struct EditWork {
    pub input: EditInput,
    pub adapter: Option<AppliedAdapter>,
    pub judge: Option<EditDescription>,
}

/// An edit that the device has finished.
#[derive(Debug)]
pub(super) struct JudgedEdit {
    pub output: EditOutput,
    /// One per image, none where nobody asked.
    pub scores: Vec<Score>,
    /// Time to judge.
    pub judging: Duration,
}

impl EditWork {
    /// Edits, then judges every image as it will be returned.
    pub fn run(&self, models: &mut impl Models, left: &Left) -> Result<JudgedEdit, EngineError> {
        if let Some(edit) = &self.judge {
            let refused = |source| EngineError::Judge { item: 0, source };
            models.check(edit).map_err(refused)?;
        }
        let mut observer = |_| match left() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let output = models.edit(&self.input, self.adapter.as_ref(), &mut observer)?;
        let start = Instant::now();
        let scores = match &self.judge {
            None => Vec::new(),
            Some(edit) => {
                let pairs = output.images.iter().map(|edited| ScoreInput {
                    reference: self.input.image.rgb.clone(),
                    edited: edited.rgb.clone(),
                    edit: edit.clone(),
                    questions: Vec::new(),
                });
                scores(models, pairs, left)?
            }
        };
        Ok(JudgedEdit {
            output,
            scores,
            judging: start.elapsed(),
        })
    }
}

/// Scores pair by pair, and stops between two where the client has left. Edits of one reference share what is seen of it.
pub(super) fn scores<I: std::borrow::Borrow<ScoreInput>>(
    models: &mut impl Models,
    pairs: impl Iterator<Item = I>,
    left: &Left,
) -> Result<Vec<Score>, EngineError> {
    let mut looked = Looked::default();
    let score = |(item, pair): (usize, I)| {
        if left() {
            return Err(EngineError::ClientLeft);
        }
        let scored = models.score(&mut looked, pair.borrow());
        scored.map_err(|source| EngineError::Judge { item, source })
    };
    pairs.enumerate().map(score).collect()
}

/// An edit, judged where there is a judge, of a plain square of the bundle's own area: the first client meets warm kernels.
pub(super) fn warm_up(profile: &Profile) -> Result<EditWork, EngineError> {
    let side = profile.target_area_px.isqrt().clamp(1, u64::from(u16::MAX)) as u32;
    let limits = ImageLimits {
        max_pixels: u64::MAX,
        max_side_px: u32::MAX,
        max_bytes: usize::MAX,
    };
    let bytes = image::encode(&RgbImage::new(side, side), &OutputFormat::Png)?;
    let instruction = "warm up".to_owned();
    Ok(EditWork {
        judge: profile.judge.as_ref().map(|_| EditDescription {
            instruction: instruction.clone(),
            ..EditDescription::default()
        }),
        adapter: None,
        input: EditInput {
            image: image::decode(&bytes, &limits)?,
            instruction,
            noise: NoiseSource::Seeds(vec![0]),
            steps: profile.default_steps,
            size: OutputSize::Auto,
            preprocess: PreprocessRule::Area,
        },
    })
}

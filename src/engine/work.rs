//! What the device thread does for one request, and when it gives up.
use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use ::image::RgbImage;

use crate::pipelines::image;

use super::{
    AppliedAdapter, EditDescription, EditError, EditInput, EditOutput, EditTask, EngineError,
    ImageLimits, Looked, Mask, Models, NoiseSource, OutputFormat, OutputSize, PreprocessRule,
    Previews, Profile, Score, ScoreInput, Watch,
};

/// Images of one edit are judged one by one: whoever leaves is not worked for longer.
const CANDIDATES_TOGETHER: usize = 1;

/// Whether the client has left.
pub(super) type Left<'a> = dyn Fn() -> bool + 'a;

/// An edit, and what to ask the judge about its images.
#[derive(Debug)]
pub(super) struct EditWork {
    pub input: EditInput,
    pub adapter: Option<AppliedAdapter>,
    pub judge: Option<EditDescription>,
    pub watch: Option<Watch>,
    pub mask: Option<Arc<Mask>>,
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
    /// Whether the judge can be asked about the edit at all.
    pub fn check(&self, models: &impl Models) -> Result<(), EngineError> {
        let Some(edit) = &self.judge else {
            return Ok(());
        };
        let refused = |source| EngineError::Judge { item: 0, source };
        models.check(edit).map_err(refused)
    }

    /// Pictures that come out.
    pub fn pictures(&self) -> usize {
        self.input.noise.count()
    }

    /// Whether both may be denoised together; what the pipeline alone can know is not among it.
    pub fn is_like(&self, other: &Self) -> bool {
        let size = |work: &Self| work.input.image.rgb.dimensions();
        self.input.steps == other.input.steps
            && self.input.preprocess == other.input.preprocess
            && size(self) == size(other)
            && self.adapter == other.adapter
    }

    fn task<'a>(&'a self, left: &'a Left<'a>) -> EditTask<'a> {
        let watch = self.watch.as_ref();
        EditTask {
            input: &self.input,
            previews: watch.map_or(Previews::Off, |watch| watch.previews),
            observer: Box::new(move |progress| {
                if let Some(watch) = watch {
                    // Whoever stopped listening may still want the edit.
                    let _ = watch.events.send(progress);
                }
                match left() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            }),
        }
    }

    /// Masks every image, and judges it as it will be returned.
    pub fn judged(
        &self,
        models: &mut impl Models,
        mut output: EditOutput,
        left: &Left,
    ) -> Result<JudgedEdit, EngineError> {
        if let Some(mask) = &self.mask {
            for image in &mut output.images {
                mask.lay(&self.input.image.rgb, &mut image.rgb);
            }
        }
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
                let pairs: Vec<_> = pairs.collect();
                let scores = scores(models, &[(&pairs, left)], CANDIDATES_TOGETHER).pop();
                scores.unwrap_or_else(|| Ok(Vec::new()))?
            }
        };
        Ok(JudgedEdit {
            output,
            scores,
            judging: start.elapsed(),
        })
    }
}

/// Edits that are alike, each with its client; one output each, in order.
pub(super) fn edits<'a>(
    models: &mut impl Models,
    works: impl Iterator<Item = (&'a EditWork, &'a Left<'a>)>,
) -> Vec<Result<EditOutput, EditError>> {
    let works: Vec<_> = works.collect();
    let adapter = works.first().and_then(|(work, _)| work.adapter.as_ref());
    let tasks = works.iter().map(|(work, left)| work.task(*left));
    models.edit(adapter, tasks.collect())
}

/// One edit from its start to its end, for nobody.
pub(super) fn rehearse(models: &mut impl Models, work: &EditWork) -> Result<(), EngineError> {
    work.check(models)?;
    let stays: &Left = &|| false;
    let outputs = edits(models, std::iter::once((work, stays)));
    for output in outputs {
        work.judged(models, output?, stays)?;
    }
    Ok(())
}

/// Pairs that one client wants scored, and whether it has left.
pub(super) type Scoring<'a> = (&'a [ScoreInput], &'a Left<'a>);

/// The scores of each client's pairs, at most `together` pairs at a time; a client that has left is not worked for, nor one whose
/// pair failed. Edits of one reference share what is seen of it.
pub(super) fn scores(
    models: &mut impl Models,
    wanted: &[Scoring],
    together: usize,
) -> Vec<Result<Vec<Score>, EngineError>> {
    let mut scores: Vec<Result<Vec<Score>, EngineError>> =
        wanted.iter().map(|_| Ok(Vec::new())).collect();
    let mut looked = Looked::default();
    let pairs = wanted.iter().enumerate();
    let pairs: Vec<_> = pairs
        .flat_map(|(of, (pairs, _))| pairs.iter().enumerate().map(move |pair| (of, pair)))
        .collect();
    for chunk in pairs.chunks(together.max(1)) {
        for (of, (_, left)) in wanted.iter().enumerate() {
            if scores[of].is_ok() && left() {
                scores[of] = Err(EngineError::ClientLeft);
            }
        }
        let going: Vec<_> = chunk.iter().filter(|(of, _)| scores[*of].is_ok()).collect();
        let inputs: Vec<_> = going.iter().map(|(_, (_, pair))| *pair).collect();
        let scored = models.score(&mut looked, &inputs);
        for ((of, (item, _)), score) in going.into_iter().zip(scored) {
            match (score, &mut scores[*of]) {
                (Ok(score), Ok(earlier)) => earlier.push(score),
                (Err(source), whole @ Ok(_)) => {
                    *whole = Err(EngineError::Judge {
                        item: *item,
                        source,
                    });
                }
                // the first failure is told
                (_, Err(_)) => {}
            }
        }
    }
    scores
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
        watch: None,
        mask: None,
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

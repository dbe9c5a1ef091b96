//! Denoises the pictures of several edits, as many at a time as may share a batch.
use std::{ops::ControlFlow, time::Instant};

use candle_core::{Result, Tensor};

use super::{Begun, decode, side_by_side::SideBySide};
use crate::{
    models::zimage::Captions,
    nn::Lanes,
    pipelines::{
        bundle::EditBundle,
        denoise::{self, DenoiseStep, Denoiser},
        error::{EditError, Stage},
        noise::NoiseDraw,
        progress::{Previews, Progress},
        velocity::{EditConditioning, Generator},
    },
};

/// Longest side of what a preview is decoded from, in latents.
const PREVIEW_SIDE: usize = 32;

pub(super) struct Together<'b> {
    pub generator: &'b Generator,
    pub bundle: &'b EditBundle,
    /// Pictures that share a batch at most.
    pub max_pictures: usize,
    /// Where parts of a batch run.
    pub lanes: &'b Lanes,
}

/// One edit's clean latents.
pub(super) struct Denoised {
    /// `[1, C, h, w]` of every picture.
    pub latents: Vec<Tensor>,
    /// Most pictures that shared a batch with one of these, itself included.
    pub batch: usize,
}

/// What has become of one edit so far.
enum Outcome {
    Going(Denoised),
    Cancelled { steps: usize },
    Failed(String),
}

/// Pictures in one batch are alike in all of this.
#[derive(PartialEq)]
struct Alike {
    /// Of the reference: `[1, C, h, w]`.
    grid: Vec<usize>,
    /// Tokens that the caption takes: they move the positions of the picture's own.
    caption: usize,
    steps: usize,
}

/// A picture: index of its edit, and index within it.
type Place = (usize, usize);

impl Together<'_> {
    /// One outcome an edit, in order.
    pub fn denoise(&self, edits: &mut [Begun]) -> Vec<std::result::Result<Denoised, EditError>> {
        let mut outcomes: Vec<Outcome> = edits.iter_mut().map(announce).collect();
        for pictures in groups(edits) {
            for pictures in pictures.chunks(self.max_pictures) {
                let going = |(edit, _): &&Place| matches!(outcomes[*edit], Outcome::Going(_));
                let pictures: Vec<Place> = pictures.iter().filter(going).copied().collect();
                if pictures.is_empty() {
                    continue;
                }
                if let Err(error) = self.batch(edits, &mut outcomes, &pictures) {
                    for (edit, _) in pictures {
                        outcomes[edit] = Outcome::Failed(error.to_string());
                    }
                }
            }
        }
        outcomes.into_iter().map(Outcome::result).collect()
    }

    fn batch(
        &self,
        edits: &mut [Begun],
        outcomes: &mut [Outcome],
        pictures: &[Place],
    ) -> Result<()> {
        let start = Instant::now();
        let part = pictures.len().div_ceil(self.lanes.count());
        let parts = pictures.chunks(part).map(|part| conditioning(edits, part));
        let conditioning = parts.collect::<Result<Vec<_>>>()?;
        let noise = pictures.iter();
        let noise = noise.map(|(edit, at)| edits[*edit].noise.narrow(*at, 1));
        let noise = NoiseDraw::cat(&noise.collect::<Result<Vec<_>>>()?)?;
        let sigmas = edits[pictures[0].0].sigmas.clone();
        let denoiser = Denoiser {
            model: &SideBySide {
                generator: self.generator,
                lanes: self.lanes,
            },
            conditioning: &conditioning,
            sigmas: &sigmas,
            sampler: self.bundle.sampler(),
        };
        let denoised = denoiser.run(&noise, &mut |step| {
            self.tell(edits, outcomes, pictures, step)
        })?;
        if let denoise::Denoised::Finished(clean) = denoised {
            for ((edit, _), latents) in pictures.iter().zip(clean.chunk(pictures.len(), 0)?) {
                if let Outcome::Going(denoised) = &mut outcomes[*edit] {
                    denoised.latents.push(latents);
                    denoised.batch = denoised.batch.max(pictures.len());
                }
            }
        }
        for edit in each_once(pictures) {
            edits[edit].life.spend(Stage::Denoise, start.elapsed());
        }
        Ok(())
    }

    /// Tells every edit of the batch, and breaks off once all have left. An edit that leaves alone is denoised to the end of the
    /// batch, and forgotten.
    fn tell(
        &self,
        edits: &mut [Begun],
        outcomes: &mut [Outcome],
        pictures: &[Place],
        step: &DenoiseStep,
    ) -> ControlFlow<()> {
        for edit in each_once(pictures) {
            if let Outcome::Going(denoised) = &outcomes[edit] {
                let before = denoised.latents.len();
                let told = self.tell_one(&mut edits[edit], before, (edit, pictures), step);
                match told {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => {
                        outcomes[edit] = Outcome::Cancelled {
                            steps: step.index + 1,
                        };
                    }
                    Err(error) => outcomes[edit] = Outcome::Failed(error.to_string()),
                }
            }
        }
        let going = |edit: usize| matches!(outcomes[edit], Outcome::Going(_));
        match each_once(pictures).any(going) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    /// Tells one edit, `before` of whose pictures are done.
    fn tell_one(
        &self,
        edit: &mut Begun,
        before: usize,
        (index, pictures): (usize, &[Place]),
        step: &DenoiseStep,
    ) -> std::result::Result<ControlFlow<()>, EditError> {
        let at = EditError::at(Stage::Decode);
        let steps = edit.sigmas.steps();
        let own = |(_, (edit, _)): &(usize, &Place)| *edit == index;
        let own: Vec<_> = pictures.iter().enumerate().filter(own).collect();
        let last = step.index + 1 == steps;
        if edit.previews == Previews::EachStep && !last {
            let x0 = step.x0().map_err(&at)?;
            for (row, (_, picture)) in &own {
                let small = pooled(&x0.narrow(0, *row, 1).map_err(&at)?).map_err(&at)?;
                let image = decode(self.bundle, &small)?;
                let preview = Progress::Preview {
                    picture: *picture,
                    step: step.index,
                    image,
                };
                if edit.life.tell(preview).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(edit.life.tell(Progress::Step {
            done: before * steps + (step.index + 1) * own.len(),
            of: edit.input.noise.count() * steps,
        }))
    }
}

/// What the generator sees of `pictures`.
fn conditioning(edits: &[Begun], pictures: &[Place]) -> Result<EditConditioning> {
    let of = |each: fn(&Begun) -> Tensor| -> Vec<Tensor> {
        let edits = pictures.iter().map(|(edit, _)| &edits[*edit]);
        edits.map(each).collect()
    };
    Ok(EditConditioning {
        reference: Tensor::cat(&of(|edit| edit.reference.clone()), 0)?,
        instruction: Captions::new(&of(|edit| edit.text.features.clone()))?,
    })
}

impl Outcome {
    fn result(self) -> std::result::Result<Denoised, EditError> {
        match self {
            Self::Going(denoised) => Ok(denoised),
            Self::Cancelled { steps } => Err(EditError::Cancelled { steps }),
            Self::Failed(cause) => Err(EditError::Model {
                stage: Stage::Denoise,
                source: candle_core::Error::Msg(cause),
            }),
        }
    }
}

fn announce(edit: &mut Begun) -> Outcome {
    match edit.life.tell(Progress::Began(Stage::Denoise)) {
        ControlFlow::Break(()) => Outcome::Cancelled { steps: 0 },
        ControlFlow::Continue(()) => Outcome::Going(Denoised {
            latents: Vec::new(),
            batch: 0,
        }),
    }
}

/// All pictures, those that may share a batch behind each other.
fn groups(edits: &[Begun]) -> Vec<Vec<Place>> {
    let mut groups: Vec<(Alike, Vec<Place>)> = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let alike = Alike {
            grid: edit.reference.dims().to_vec(),
            caption: Captions::padded_len(edit.text.features.dims()[1]),
            steps: edit.sigmas.steps(),
        };
        let pictures = (0..edit.input.noise.count()).map(|picture| (index, picture));
        match groups.iter_mut().find(|(other, _)| *other == alike) {
            Some((_, places)) => places.extend(pictures),
            None => groups.push((alike, pictures.collect())),
        }
    }
    groups.into_iter().map(|(_, places)| places).collect()
}

/// The edits of a batch; pictures of one edit stand behind each other.
fn each_once(pictures: &[Place]) -> impl Iterator<Item = usize> {
    let repeats = |at: usize| at > 0 && pictures[at - 1].0 == pictures[at].0;
    let edits = pictures.iter().enumerate();
    edits.filter_map(move |(at, (edit, _))| (!repeats(at)).then_some(*edit))
}

/// `x0` `[1, C, h, w]` made small enough to be decoded at little cost.
fn pooled(x0: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = x0.dims4()?;
    match height.max(width).div_ceil(PREVIEW_SIDE) {
        0 | 1 => Ok(x0.clone()),
        factor => x0.avg_pool2d(factor.min(height).min(width)),
    }
}

//! `image + instruction -> edited image`, as a numbered lifecycle.
mod shared;
mod side_by_side;
mod together;

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use ::image::RgbImage;
use candle_core::Tensor;

use super::{
    bundle::EditBundle,
    error::{EditError, Stage},
    image::{self, Preprocess},
    noise::{Grid, NoiseDraw},
    progress::{Lifecycle, Observer, Previews, Progress},
    request::{
        EditInput, EditOutput, EditedImage, NoiseSource, PreprocessRule, Reuse, Tokens, Unread,
    },
    sigmas::Sigmas,
    text::TextTokens,
    velocity::Generator,
};
use crate::{models::qwen3::Thinking, nn::Lanes};
use shared::Reference;
pub use shared::Shared;
use together::{Denoised, Together};

/// The editor with its bundle, ready to run.
pub struct EditPipeline {
    pub bundle: EditBundle,
}

/// One of the edits that run together.
pub struct EditTask<'a> {
    pub input: &'a EditInput,
    pub previews: Previews,
    /// Hears of every stage and step and may break off between them.
    pub observer: Box<Observer<'a>>,
}

/// What an edit's latents show.
struct Decoded {
    pictures: Vec<RgbImage>,
    /// Time of all pictures, one after the other.
    took: Duration,
    /// As in [`Denoised`].
    batch: usize,
}

/// An edit whose pictures can be denoised.
struct Begun<'a> {
    input: &'a EditInput,
    previews: Previews,
    life: Lifecycle<'a>,
    model_size: (u32, u32),
    text: TextTokens,
    /// `[1, C, h, w]`
    reference: Tensor,
    sigmas: Sigmas,
    noise: NoiseDraw,
    reuse: Reuse,
}

impl EditPipeline {
    /// Runs one edit; `observer` hears of every stage and step and may break off between them.
    ///
    /// # Errors
    /// See [`EditError`], which says whose each one is to mend.
    pub fn run(&self, input: &EditInput, observer: &mut Observer) -> Result<EditOutput, EditError> {
        let task = EditTask {
            input,
            previews: Previews::Off,
            observer: Box::new(observer),
        };
        let generator = &self.bundle.generator;
        let mut outputs = self.run_together(generator, &mut Shared::default(), vec![task]);
        outputs.pop().expect("every task has its output")
    }

    /// Runs several edits on one generator, which is the bundle's or has branches beside it. Each gives the bits that it gives
    /// alone. One output a task, in order.
    pub fn run_together(
        &self,
        generator: &Generator,
        shared: &mut Shared,
        tasks: Vec<EditTask>,
    ) -> Vec<Result<EditOutput, EditError>> {
        // 1 to 5, each on its own
        let begun: Vec<_> = tasks
            .into_iter()
            .map(|task| self.begin(shared, task))
            .collect();
        let mut outputs: Vec<_> = begun.iter().map(|_| None).collect();
        let mut places = Vec::new();
        let mut edits = Vec::new();
        for (place, begun) in begun.into_iter().enumerate() {
            match begun {
                Ok(edit) => {
                    places.push(place);
                    edits.push(edit);
                }
                Err(error) => outputs[place] = Some(Err(error)),
            }
        }

        // 6 denoise: latents at sigma 1 -> clean latents, together where that changes no bit
        let together = Together {
            generator,
            bundle: &self.bundle,
            max_pictures: self.batch_size(shared.max_batch),
            lanes: &shared.lanes,
        };
        let denoised = together.denoise(&mut edits);

        // 7 decode: latents -> pictures, side by side
        let begin = |(edit, denoised): (&mut Begun, Result<Denoised, EditError>)| {
            let denoised = denoised?;
            edit.life.begin(Stage::Decode)?;
            Ok(denoised)
        };
        let denoised = edits.iter_mut().zip(denoised).map(begin).collect();
        let decoded = self.decode_all(&shared.lanes, denoised);

        // 8 postprocess, each on its own
        for ((place, edit), decoded) in places.into_iter().zip(edits).zip(decoded) {
            let output = decoded.and_then(|decoded| self.finish(edit, decoded));
            outputs[place] = Some(output);
        }
        let whole = |output: Option<_>| output.expect("every task was refused or denoised");
        outputs.into_iter().map(whole).collect()
    }

    fn begin<'a>(&self, shared: &mut Shared, task: EditTask<'a>) -> Result<Begun<'a>, EditError> {
        let bundle = &self.bundle;
        let input = task.input;
        let source = &input.image.rgb;
        let mut life = Lifecycle::new(task.observer);

        // 1 preprocess: picture -> pixels [1, 3, H, W], unless its latents are known
        let (reference, pixels) = life.stage(Stage::Preprocess, || {
            let rule = self.rule(input.preprocess);
            let size = image::model_size(source.width(), source.height(), &rule)?;
            let reference = Reference {
                sha256: input.image.sha256.clone(),
                size,
            };
            if shared.knows(&reference) {
                return Ok((reference, None));
            }
            let resized = image::resize_lanczos(source, size);
            let pixels = image::to_pixels(&resized, &bundle.device)
                .map_err(EditError::at(Stage::Preprocess))?;
            Ok((reference, Some(pixels)))
        })?;
        let model_size = reference.size;

        // 2 encode text: instruction -> tokens [1, L, D]
        let (text, text_known) = life.stage(Stage::Text, || {
            shared.text(&input.instruction, || {
                let thinking = Thinking::EmptyBlock;
                Ok(bundle.text.encode(&input.instruction, thinking)?)
            })
        })?;

        // 3 encode reference: pixels -> latents [1, C, h, w]
        let reuse = Reuse {
            text: text_known,
            reference: pixels.is_none(),
            batch: 0,
        };
        let reference = life.stage(Stage::Encode, || {
            shared.latents(reference, pixels, |pixels| {
                let encoded = bundle.vae.encode_mean(pixels);
                encoded.map_err(EditError::at(Stage::Encode))
            })
        })?;

        // 4 schedule: steps -> sigmas, 5 draw noise: seeds, grid -> latents at sigma 1
        let sigmas = bundle.sigmas(input.steps)?;
        let noise = draw_noise(&input.noise, &sigmas, &reference)?;
        Ok(Begun {
            input,
            previews: task.previews,
            life,
            model_size,
            text,
            reference,
            sigmas,
            noise,
            reuse,
        })
    }

    /// The pictures of every edit, as many at a time as there are lanes, which bounds the memory.
    fn decode_all(
        &self,
        lanes: &Lanes,
        denoised: Vec<Result<Denoised, EditError>>,
    ) -> Vec<Result<Decoded, EditError>> {
        let all = denoised.iter().flatten();
        let work = all.flat_map(|edit| &edit.latents);
        let work = work.map(|latents| {
            move || {
                let start = Instant::now();
                (decode(&self.bundle, latents), start.elapsed())
            }
        });
        let mut pictures = lanes.run(work.collect(), || {}).into_iter();
        let of_edit = |edit: Result<Denoised, EditError>| {
            let Denoised { latents, batch } = edit?;
            let own: Vec<_> = pictures.by_ref().take(latents.len()).collect();
            Ok(Decoded {
                took: own.iter().map(|(_, took)| *took).sum(),
                pictures: own
                    .into_iter()
                    .map(|(picture, _)| picture)
                    .collect::<Result<_, _>>()?,
                batch,
            })
        };
        denoised.into_iter().map(of_edit).collect()
    }

    fn finish(&self, edit: Begun, decoded: Decoded) -> Result<EditOutput, EditError> {
        let Begun {
            input, mut life, ..
        } = edit;
        life.spend(Stage::Decode, decoded.took);
        // 8 postprocess: picture at the size asked for
        let size = input.size.resolve(input.image.rgb.dimensions());
        let images = life.stage(Stage::Postprocess, || {
            let seeds = input.noise.seeds();
            let resized = decoded
                .pictures
                .iter()
                .map(|rgb| image::resize_lanczos(rgb, size));
            Ok(resized
                .zip(seeds)
                .map(|(rgb, seed)| EditedImage { rgb, seed })
                .collect())
        })?;

        let vocabulary = self.bundle.settings.vocabulary;
        let unread = Unread {
            dropped: edit.text.dropped,
            words: vocabulary.unknown_words(&input.instruction),
        };
        Ok(EditOutput {
            images,
            sigmas: edit.sigmas,
            model_size: edit.model_size,
            noise: edit.noise,
            timings: life.into_timings(),
            warnings: input.warnings(unread, size),
            tokens: Tokens {
                text: edit.text.features.dims()[1],
                image: edit.reference.elem_count() / self.latents_per_token(),
            },
            reuse: Reuse {
                batch: decoded.batch,
                ..edit.reuse
            },
        })
    }

    fn rule(&self, rule: PreprocessRule) -> Preprocess {
        let target_area_px = self.bundle.settings.target_area_px;
        match rule {
            PreprocessRule::Area => self.bundle.preprocess(),
            PreprocessRule::Reference => Preprocess::Reference {
                resolution: target_area_px.isqrt() as u32,
            },
        }
    }

    fn latents_per_token(&self) -> usize {
        let config = self.bundle.generator.0.config();
        config.in_channels * config.patch() * config.patch()
    }

    /// What the autoencoder alone makes of a picture whose sides it can encode: no edit comes closer to one.
    pub fn reconstruct(&self, picture: &RgbImage) -> Result<RgbImage, EditError> {
        let at = EditError::at(Stage::Encode);
        let pixels = image::to_pixels(picture, &self.bundle.device).map_err(&at)?;
        let latents = self.bundle.vae.encode_mean(&pixels).map_err(&at)?;
        decode(&self.bundle, &latents)
    }

    /// Lanes for batches of at most `max_batch` pictures: one a core; on a GPU none, where a picture has the device alone.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn lanes(&self, max_batch: usize) -> std::io::Result<Lanes> {
        let cores = rayon::current_num_threads();
        Lanes::new(self.batch_size(max_batch).min(cores))
    }

    /// Our CPU kernels compute every item of a batch on its own, so a batch changes no bit there; a GPU library picks its
    /// algorithm by batch size, so there each picture runs alone to stay reproducible from its seed.
    fn batch_size(&self, most: usize) -> usize {
        if self.bundle.device.is_cpu() { most } else { 1 }
    }
}

/// The picture of latents `[1, C, h, w]`.
fn decode(bundle: &EditBundle, latents: &Tensor) -> Result<RgbImage, EditError> {
    let decoded = bundle.vae.decode(latents);
    let pixels = decoded.map_err(EditError::at(Stage::Decode))?;
    let mut pictures = image::from_pixels(&pixels)?;
    Ok(pictures.swap_remove(0))
}

/// Noise for latents like `reference` `[1, C, h, w]`.
fn draw_noise(
    source: &NoiseSource,
    sigmas: &Sigmas,
    reference: &Tensor,
) -> Result<NoiseDraw, EditError> {
    let at = EditError::at(Stage::Denoise);
    let (_, channels, height, width) = reference.dims4().map_err(&at)?;
    let grid = Grid {
        channels,
        height,
        width,
    };
    match source {
        NoiseSource::Seeds(seeds) => {
            NoiseDraw::from_seeds(seeds, sigmas.steps(), grid, reference.device()).map_err(&at)
        }
        NoiseSource::Given(noise) => {
            noise.check(sigmas.steps(), grid)?;
            Ok(noise.clone())
        }
    }
}

/// An observer for callers that want to hear nothing.
pub fn unobserved(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

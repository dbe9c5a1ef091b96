//! `image + instruction -> edited image`, as a numbered lifecycle.
use std::ops::ControlFlow;

use ::image::RgbImage;
use candle_core::Tensor;

use super::{
    bundle::EditBundle,
    denoise::{Denoised, Denoiser},
    error::{EditError, Stage},
    image::{self, Preprocess},
    noise::{Grid, NoiseDraw},
    progress::{Lifecycle, Observer, Progress},
    request::{EditInput, EditOutput, EditedImage, NoiseSource, PreprocessRule},
    sampler::Sampler,
    sigmas::Sigmas,
    text::TextTokens,
    velocity::{EditConditioning, Generator},
};
use crate::models::qwen3::Thinking;

/// Pictures that share one denoising batch at most: bounds the memory of a request for many.
const MAX_BATCH: usize = 4;

/// The editor with its bundle, ready to run.
pub struct EditPipeline {
    pub bundle: EditBundle,
}

impl EditPipeline {
    /// Runs one edit; `observer` hears of every stage and step and may break off between them.
    ///
    /// # Errors
    /// See [`EditError`], which says whose each one is to mend.
    pub fn run(&self, input: &EditInput, observer: &mut Observer) -> Result<EditOutput, EditError> {
        self.run_on(&self.bundle.generator, input, observer)
    }

    /// [`Self::run`] with a generator that is the bundle's with branches beside it.
    ///
    /// # Errors
    /// See [`EditError`].
    pub fn run_on(
        &self,
        generator: &Generator,
        input: &EditInput,
        observer: &mut Observer,
    ) -> Result<EditOutput, EditError> {
        let bundle = &self.bundle;
        let source = &input.image.rgb;
        let mut life = Lifecycle::new(observer);

        // 1 preprocess: picture -> pixels [1, 3, H, W]
        let (model_size, pixels) = life.stage(Stage::Preprocess, |_| {
            let size = image::model_size(
                source.width(),
                source.height(),
                &self.rule(input.preprocess),
            )?;
            let resized = image::resize_lanczos(source, size);
            let pixels = image::to_pixels(&resized, &bundle.device)
                .map_err(EditError::at(Stage::Preprocess))?;
            Ok((size, pixels))
        })?;

        // 2 encode text: instruction -> tokens [1, L, D]
        let text = life.stage(Stage::Text, |_| {
            Ok(bundle
                .text
                .encode(&input.instruction, Thinking::EmptyBlock)?)
        })?;

        // 3 encode reference: pixels -> latents [1, C, h, w]
        let reference = life.stage(Stage::Encode, |_| {
            bundle
                .vae
                .encode_mean(&pixels)
                .map_err(EditError::at(Stage::Encode))
        })?;

        // 4 schedule: steps -> sigmas, 5 draw noise: seeds, grid -> latents at sigma 1
        let sigmas = bundle.sigmas(input.steps)?;
        let noise = draw_noise(&input.noise, &sigmas, &reference)?;

        // 6 denoise: latents at sigma 1 -> clean latents, [1, C, h, w] each
        let latents = life.stage(Stage::Denoise, |observer| {
            let batches = Batches {
                generator,
                sampler: bundle.sampler(),
                size: self.batch_size(),
            };
            batches.denoise(&noise, &sigmas, (&reference, &text), observer)
        })?;

        // 7 decode: one picture at a time, which bounds the memory
        let decoded = life.stage(Stage::Decode, |_| {
            latents
                .iter()
                .map(|latents| self.decode(latents))
                .collect::<Result<Vec<_>, _>>()
        })?;

        // 8 postprocess: picture at the size asked for
        let size = input.size.resolve(source.dimensions());
        let images = life.stage(Stage::Postprocess, |_| {
            let seeds = input.noise.seeds();
            let resized = decoded.iter().map(|rgb| image::resize_lanczos(rgb, size));
            Ok(resized
                .zip(seeds)
                .map(|(rgb, seed)| EditedImage { rgb, seed })
                .collect())
        })?;

        Ok(EditOutput {
            images,
            sigmas,
            model_size,
            noise,
            timings: life.into_timings(),
            warnings: input.warnings(text.dropped, size),
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

    /// Our CPU kernels compute every item of a batch on its own, so a batch changes no bit there; a GPU library picks its
    /// algorithm by batch size, so there each picture runs alone to stay reproducible from its seed.
    fn batch_size(&self) -> usize {
        if self.bundle.device.is_cpu() {
            MAX_BATCH
        } else {
            1
        }
    }

    fn decode(&self, latents: &Tensor) -> Result<RgbImage, EditError> {
        let pixels = self
            .bundle
            .vae
            .decode(latents)
            .map_err(EditError::at(Stage::Decode))?;
        let mut pictures = image::from_pixels(&pixels)?;
        Ok(pictures.swap_remove(0))
    }
}

/// Pictures that are denoised some at a time.
struct Batches<'a> {
    generator: &'a Generator,
    sampler: Sampler,
    /// Pictures that share a batch at most.
    size: usize,
}

impl Batches<'_> {
    /// Clean latents `[1, C, h, w]` of every picture; pictures share a batch where that changes no bit.
    fn denoise(
        &self,
        noise: &NoiseDraw,
        sigmas: &Sigmas,
        (reference, text): (&Tensor, &TextTokens),
        observer: &mut Observer,
    ) -> Result<Vec<Tensor>, EditError> {
        let at = EditError::at(Stage::Denoise);
        let count = noise.initial.dim(0).map_err(&at)?;
        let of = count * sigmas.steps();
        let mut latents = Vec::with_capacity(count);
        for start in (0..count).step_by(self.size) {
            let size = self.size.min(count - start);
            let conditioning = EditConditioning {
                reference: reference.repeat((size, 1, 1, 1)).map_err(&at)?,
                instruction: text.repeated(size).map_err(&at)?,
            };
            let denoiser = Denoiser {
                model: self.generator,
                conditioning: &conditioning,
                sigmas,
                sampler: self.sampler,
            };
            let batch = noise.narrow(start, size).map_err(&at)?;
            let before = start * sigmas.steps();
            let denoised = denoiser
                .run(&batch, &mut |step| {
                    let done = before + (step.index + 1) * size;
                    observer(Progress::Step { done, of })
                })
                .map_err(&at)?;
            match denoised {
                Denoised::Finished(clean) => latents.extend(clean.chunk(size, 0).map_err(&at)?),
                Denoised::Stopped { steps } => return Err(EditError::Cancelled { steps }),
            }
        }
        Ok(latents)
    }
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

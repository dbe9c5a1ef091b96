//! Vision-language models that answer a question about pictures in one forward pass.
mod chat;
mod feed_forward;
mod internvl;
mod llava_onevision;
mod parts;
mod pixels;
mod qwen3_vl;
mod resize;
mod sequence;
mod tower;

use candle_core::{Result, Tensor};
use serde::Deserialize;

use self::tower::VisionTower;
pub use self::{
    chat::{Chat, Prompt, PromptError},
    pixels::{Picture, PixelValues, Shown},
    resize::Rounding,
    sequence::Illustrated,
    tower::ImageTokens,
};
use super::{
    decoder::{Decoder, Sequence},
    error::{LoadError, LoadResult},
    folder::Folder,
    weights::Weights,
};
use crate::nn::{Activations, Compute};

/// A model in `-hf` layout: vision tower, projector and decoder, with tokenizer and chat template.
#[derive(Debug)]
pub struct VisionLanguageModel {
    tower: Box<dyn VisionTower>,
    decoder: Decoder,
    chat: Chat,
    image_token: u32,
    compute: Compute,
    activations: Activations,
}

#[derive(Deserialize)]
struct Kind {
    model_type: String,
}

impl VisionLanguageModel {
    /// # Errors
    /// A file is missing or malformed, the model is of a family that npedit does not have, or its weights are not exactly
    /// those of its config.
    pub fn load(folder: &Folder, compute: &Compute) -> LoadResult<Self> {
        Self::build(folder, folder.weights()?, compute)
    }

    /// As [`Self::load`], from `weights` and the folder's other files.
    ///
    /// # Errors
    /// See [`Self::load`].
    pub fn build(folder: &Folder, weights: Weights, compute: &Compute) -> LoadResult<Self> {
        let kind: Kind = folder.json("config.json")?;
        let parts = match kind.model_type.as_str() {
            "internvl" => internvl::load(folder, &weights, compute)?,
            "qwen3_vl" => qwen3_vl::load(folder, &weights, compute)?,
            "llava_onevision" => llava_onevision::load(folder, &weights, compute)?,
            other => {
                return Err(LoadError::Config {
                    file: folder.name("config.json"),
                    key: "model_type",
                    value: format!("{other:?}"),
                    expected: "internvl (the -hf layout of InternVL3), llava_onevision or qwen3_vl"
                        .into(),
                });
            }
        };
        weights.finish()?;
        Ok(Self {
            chat: Chat::load(folder, parts.style, parts.image_token)?,
            tower: parts.tower,
            decoder: parts.decoder,
            image_token: parts.image_token,
            compute: compute.clone(),
            activations: Activations::Keep,
        })
    }

    /// The same model; the blocks of tower and decoder are the segments of `activations`.
    #[must_use]
    pub fn with_activations(self, activations: Activations) -> Self {
        Self {
            activations,
            ..self
        }
    }

    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    pub fn chat(&self) -> &Chat {
        &self.chat
    }

    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The placeholder of a picture's tokens.
    pub fn image_token(&self) -> u32 {
        self.image_token
    }

    /// A picture with a shorter side holds no whole patch, in pixels.
    pub fn smallest_side(&self) -> usize {
        self.tower.patch()
    }

    /// How many times longer than wide, or wider than long, a picture may be, where the published processor has a limit.
    pub fn max_aspect(&self) -> Option<usize> {
        self.tower.max_aspect()
    }

    /// How a picture is shown in a question about `images` of them.
    pub fn shown(&self, images: usize) -> Shown {
        self.tower.shown(images)
    }

    /// Stage 1: the model's own pre-processing, in the picture's precision; differentiable where its rounding is exact.
    ///
    /// # Errors
    /// A picture that is not `[3, H, W]`.
    pub fn pixel_values(&self, picture: &Picture, shown: Shown) -> Result<PixelValues> {
        let pixels = self.tower.pixel_values(picture, shown)?;
        Ok(PixelValues {
            values: pixels.values.to_dtype(self.compute.dtype)?,
            ..pixels
        })
    }

    /// Stage 2: vision tower and projector.
    ///
    /// # Errors
    /// Values of another shape than stage 1 gives.
    pub fn look(&self, pixels: &PixelValues) -> Result<ImageTokens> {
        self.tower.encode(pixels, &self.activations)
    }

    /// Whether [`Self::look_at_all`] can.
    pub fn looks_at_several(&self) -> bool {
        self.tower.looks_at_several()
    }

    /// Stages 1 and 2 of several pictures of one size, differentiable. `[P, 3, H, W]` in `[0, 1]` to `[P, n, D]`
    ///
    /// # Errors
    /// Another shape, or a family that looks at one picture after the other.
    pub fn look_at_all(&self, pixels: &Tensor) -> Result<Tensor> {
        self.tower
            .look_at_all(&pixels.to_dtype(self.compute.dtype)?)
    }

    /// Stage 3: text and pictures of all items in one sequence of embeddings.
    ///
    /// # Errors
    /// Another number of pictures than placeholders.
    pub fn sequence(&self, items: &[Illustrated]) -> Result<Sequence> {
        sequence::sequence(&self.decoder, items, self.image_token)
    }

    /// Stage 4: what the model would say next, as states `[items, D]` of the decoder's head.
    ///
    /// # Errors
    /// Shapes that do not fit each other.
    pub fn read(&self, sequence: &Sequence) -> Result<Tensor> {
        self.decoder.read(sequence, &self.activations)
    }
}

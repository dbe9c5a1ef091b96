//! The forward pass, as a chain of named stages.
use std::{collections::BTreeMap, ops::Range};

use candle_core::{Result, Tensor, bail};

use super::{
    block::{Block, ModulatedBlock},
    captions::Captions,
    config::Config,
    embedders::{CaptionEmbedder, ImageEmbedder},
    final_layer::FinalLayer,
    layout::{Layout, PaddingAttention},
    lora::LoraWeights,
    patches::unpatchify,
    times::{TimeEmbedder, Times},
};
use crate::{
    models::{
        error::LoadResult,
        weights::{Scope, Weights},
    },
    nn::{Activations, Compute},
};

/// What the steps of one denoising share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub layout: Layout,
    /// Refined caption tokens with pads. `[B, Lp, D]`
    pub caption: Tensor,
}

/// Module that a generator checkpoint holds its transformer under.
pub const GENERATOR_PREFIX: &str = "transformer";

/// What stands before the names of a transformer's tensors.
fn prefix(weights: &Weights) -> &'static str {
    match weights.contains(&format!("{GENERATOR_PREFIX}.x_pad_token")) {
        true => GENERATOR_PREFIX,
        false => "",
    }
}

/// Predicts velocities (`noise - x0`) of latents. Cheap to clone: the weights are shared.
///
/// Latents come and velocities go in the caller's dtype; in between the transformer computes in its own.
#[derive(Clone, Debug)]
pub struct Transformer {
    config: Config,
    compute: Compute,
    padding: PaddingAttention,
    activations: Activations,
    times: TimeEmbedder,
    images: ImageEmbedder,
    captions: CaptionEmbedder,
    noise_refiner: Vec<ModulatedBlock>,
    context_refiner: Vec<Block>,
    layers: Vec<ModulatedBlock>,
    last: FinalLayer,
}

impl Transformer {
    /// Builds the transformer from diffusers names, bare or below `transformer.`; pad tokens are attended to.
    ///
    /// # Errors
    /// An inconsistent config, or weights that are not exactly those of the config.
    pub fn load(config: &Config, weights: Weights, compute: &Compute) -> LoadResult<Self> {
        config.validate()?;
        let transformer = Self::from_scope(config, &weights.scope(prefix(&weights), compute))?;
        weights.finish()?;
        Ok(transformer)
    }

    fn from_scope(config: &Config, scope: &Scope) -> LoadResult<Self> {
        let modulated = |name: &str, count| {
            let blocks = (0..count).map(|i| ModulatedBlock::load(config, &scope.at(name).at(i)));
            blocks.collect::<LoadResult<Vec<_>>>()
        };
        let context = scope.at("context_refiner");
        let context_refiner =
            (0..config.n_refiner_layers).map(|i| Block::load(config, &context.at(i)));
        Ok(Self {
            config: config.clone(),
            compute: scope.compute().clone(),
            padding: PaddingAttention::Attend,
            activations: Activations::Keep,
            times: TimeEmbedder::load(config, &scope.at("t_embedder"))?,
            images: ImageEmbedder::load(config, scope)?,
            captions: CaptionEmbedder::load(config, scope)?,
            noise_refiner: modulated("noise_refiner", config.n_refiner_layers)?,
            context_refiner: context_refiner.collect::<LoadResult<_>>()?,
            layers: modulated("layers", config.n_layers)?,
            last: FinalLayer::load(config, scope)?,
        })
    }

    /// The same weights with another treatment of pad tokens.
    pub fn with_padding(&self, padding: PaddingAttention) -> Self {
        Self {
            padding,
            ..self.clone()
        }
    }

    /// The same weights, whose blocks are the segments of `activations`.
    pub fn with_activations(&self, activations: Activations) -> Self {
        Self {
            activations,
            ..self.clone()
        }
    }

    /// The same weights (shared) with low-rank branches beside them.
    ///
    /// # Errors
    /// A branch for a module that the transformer does not have, or has in another shape.
    pub fn with_lora(&self, lora: &LoraWeights) -> LoadResult<Self> {
        let adapted = self.beside(lora);
        lora.finish()?;
        Ok(adapted)
    }

    /// `[out, in]` of every linear layer that takes a branch, which are those of the blocks, by module.
    pub fn linear_shapes(&self) -> BTreeMap<String, [usize; 2]> {
        let none = LoraWeights::default();
        self.beside(&none);
        none.shapes()
    }

    fn beside(&self, lora: &LoraWeights) -> Self {
        let modulated = |name: &str, blocks: &[ModulatedBlock]| {
            let blocks = blocks.iter().enumerate();
            blocks
                .map(|(i, block)| block.with_lora(&format!("{name}.{i}"), lora))
                .collect()
        };
        let context = self.context_refiner.iter().enumerate();
        Self {
            noise_refiner: modulated("noise_refiner", &self.noise_refiner),
            context_refiner: context
                .map(|(i, block)| block.with_lora(&format!("context_refiner.{i}"), lora))
                .collect(),
            layers: modulated("layers", &self.layers),
            ..self.clone()
        }
    }

    /// SHA-256 in hex of the weights that a transformer is made of: what adapters name their base by. The same for one file,
    /// shards and a torch checkpoint, bare or below `transformer.`.
    ///
    /// # Errors
    /// A tensor of a dtype that npedit does not read, or a file that cannot be read.
    pub fn sha256(weights: &Weights) -> LoadResult<String> {
        weights.sha256(prefix(weights))
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Editor form: the reference is a first frame of tokens, modulated at the clean time.
    ///
    /// `latents` and `reference` `[B, C, h, w]`, `sigma` `[B]` float32; answers the velocity `[B, C, h, w]`.
    ///
    /// # Errors
    /// Shapes that do not fit each other, the config or the patch size.
    pub fn velocity_with_reference(
        &self,
        latents: &Tensor,
        reference: &Tensor,
        sigma: &Tensor,
        captions: &Captions,
    ) -> Result<Tensor> {
        let frames = [reference, latents];
        self.velocity_from(&frames, sigma, &self.prepare(&frames, captions)?)
    }

    /// Text-to-image form: teacher and fake score.
    ///
    /// `latents` `[B, C, h, w]`, `sigma` `[B]` float32; answers the velocity `[B, C, h, w]`.
    ///
    /// # Errors
    /// Shapes that do not fit each other, the config or the patch size.
    pub fn velocity(
        &self,
        latents: &Tensor,
        sigma: &Tensor,
        captions: &Captions,
    ) -> Result<Tensor> {
        let frames = [latents];
        self.velocity_from(&frames, sigma, &self.prepare(&frames, captions)?)
    }

    /// Stages 1, 5 and 6: what the steps of one denoising share. `frames` `[B, C, h, w]` each, the noisy one last.
    ///
    /// # Errors
    /// See [`Self::layout`].
    pub fn prepare(&self, frames: &[&Tensor], captions: &Captions) -> Result<Prepared> {
        let layout = self.layout(frames, captions)?;
        let caption = self.refine_captions(&self.embed_captions(captions)?, &layout)?;
        Ok(Prepared { layout, caption })
    }

    /// Stages 2, 3, 4, 7 and 8: one step. `frames` as in [`Self::prepare`], `sigma` `[B]`; answers the velocity `[B, C, h, w]`.
    ///
    /// # Errors
    /// Frames of another shape than those of `prepared`.
    pub fn velocity_from(
        &self,
        frames: &[&Tensor],
        sigma: &Tensor,
        prepared: &Prepared,
    ) -> Result<Tensor> {
        let Prepared { layout, caption } = prepared;
        let times = self.embed_times(sigma, layout)?;
        let image = self.refine_image(&self.embed_image(frames)?, layout, &times)?;
        let noisy = self.mix([&image, caption], layout, &times, layout.noisy_tokens())?;
        let velocity = self.project(&noisy, layout, &times)?;
        frames.last().map_or(Ok(velocity.clone()), |noisy| {
            velocity.to_dtype(noisy.dtype())
        })
    }

    /// Stage 1: positions and masks, from shapes alone. `frames` `[B, C, h, w]` each, the noisy one last.
    ///
    /// # Errors
    /// Frames or captions whose shapes do not fit the config.
    pub fn layout(&self, frames: &[&Tensor], captions: &Captions) -> Result<Layout> {
        let Some(noisy) = frames.last() else {
            bail!("a forward needs at least one frame");
        };
        if let Some(other) = frames.iter().find(|frame| frame.shape() != noisy.shape()) {
            bail!(
                "the reference has shape {:?}, the latents {:?}",
                other.shape(),
                noisy.shape()
            );
        }
        let (batch, channels, height, width) = noisy.dims4()?;
        let patch = self.config.patch();
        if channels != self.config.in_channels {
            bail!(
                "the latents have {channels} channels, the transformer {}",
                self.config.in_channels
            );
        }
        if height == 0
            || width == 0
            || !height.is_multiple_of(patch)
            || !width.is_multiple_of(patch)
        {
            bail!("latents of {height} x {width} are not whole patches of {patch}");
        }
        let (items, padded, features) = captions.features.dims3()?;
        let fits = captions
            .lengths
            .iter()
            .all(|length| (1..=padded).contains(length));
        if items != batch || captions.lengths.len() != batch || !fits {
            bail!(
                "captions {:?} of lengths {:?} for a batch of {batch}",
                captions.features.shape(),
                captions.lengths
            );
        }
        if features != self.config.cap_feat_dim || !padded.is_multiple_of(super::TOKEN_MULTIPLE) {
            bail!(
                "captions are {padded} tokens of width {features}, expected a multiple of {} and width {}",
                super::TOKEN_MULTIPLE,
                self.config.cap_feat_dim
            );
        }
        let grid = [frames.len(), height / patch, width / patch];
        Layout::new(&self.config, grid, captions, self.padding, &self.compute)
    }

    /// Stage 2: time embeddings of noisy and, where there is a reference, clean tokens. `sigma` `[B]`.
    ///
    /// # Errors
    /// The device refuses.
    pub fn embed_times(&self, sigma: &Tensor, layout: &Layout) -> Result<Times> {
        let clean_tokens = (layout.frames - 1) * layout.frame_tokens();
        let clean = match clean_tokens {
            0 => None,
            tokens => Some((self.times.forward(&sigma.zeros_like()?)?, tokens)),
        };
        Ok(Times {
            noisy: self.times.forward(sigma)?,
            clean,
        })
    }

    /// Stage 3: image tokens `[B, Si, D]` with pads.
    ///
    /// # Errors
    /// Frames of different shape.
    pub fn embed_image(&self, frames: &[&Tensor]) -> Result<Tensor> {
        self.images.forward(frames)
    }

    /// Stage 4: the noise refiner. `[B, Si, D]`
    ///
    /// # Errors
    /// Tokens that are not those of `layout`.
    pub fn refine_image(&self, tokens: &Tensor, layout: &Layout, times: &Times) -> Result<Tensor> {
        let segment = &layout.image;
        let mut blocks = self.noise_refiner.iter();
        blocks.try_fold(tokens.clone(), |x, block| {
            let all = 0..x.dim(1)?;
            block.recomputed(&x, segment, times, all, &self.activations)
        })
    }

    /// Stage 5: caption tokens `[B, Lp, D]` with pads.
    ///
    /// # Errors
    /// Captions of another width.
    pub fn embed_captions(&self, captions: &Captions) -> Result<Tensor> {
        self.captions.forward(captions)
    }

    /// Stage 6: the context refiner. `[B, Lp, D]`
    ///
    /// # Errors
    /// Tokens that are not those of `layout`.
    pub fn refine_captions(&self, tokens: &Tensor, layout: &Layout) -> Result<Tensor> {
        let segment = &layout.caption;
        self.context_refiner
            .iter()
            .try_fold(tokens.clone(), |x, block| {
                let (block, segment) = (block.clone(), segment.clone());
                self.activations
                    .segment([&x], move |[x]| block.forward(x, &segment))
            })
    }

    /// Stage 7: the main layers over image, then caption, `[B, Si, D]` and `[B, Lp, D]`; answers the `wanted` tokens of the
    /// `Si + Lp`. `[B, wanted, D]`
    ///
    /// # Errors
    /// Tokens that are not those of `layout`.
    pub fn mix(
        &self,
        parts: [&Tensor; 2],
        layout: &Layout,
        times: &Times,
        wanted: Range<usize>,
    ) -> Result<Tensor> {
        let segment = &layout.unified;
        let unified = Tensor::cat(&parts, 1)?;
        let Some((last, before)) = self.layers.split_last() else {
            return unified.narrow(1, wanted.start, wanted.len());
        };
        let run = |x: &Tensor, block: &ModulatedBlock, wanted| {
            block.recomputed(x, segment, times, wanted, &self.activations)
        };
        let mixed = before.iter().try_fold(unified, |x, block| {
            let all = 0..x.dim(1)?;
            run(&x, block, all)
        })?;
        run(&mixed, last, wanted)
    }

    /// Stage 8: the velocity `[B, C, h, w]` from the noisy frame's tokens `[B, S, D]`.
    ///
    /// # Errors
    /// Tokens that are not those of `layout`.
    pub fn project(&self, noisy: &Tensor, layout: &Layout, times: &Times) -> Result<Tensor> {
        let patches = self.last.forward(noisy, times)?;
        // the network predicts x0 - noise
        unpatchify(&patches, layout.grid, self.config.patch())?.neg()
    }
}

//! The variational autoencoder between pixels and latents (diffusers `AutoencoderKL`).
mod blocks;
mod config;
mod decoder;
mod encoder;

use candle_core::{Device, Result, Tensor, bail};

pub use self::config::Config;
use self::{decoder::Decoder, encoder::Encoder};
use super::{error::LoadResult, weights::Weights};
use crate::nn::{Activations, Compute};

/// Encoder and decoder with the scale and shift that diffusion works in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AutoencoderKl {
    config: Config,
    compute: Compute,
    activations: Activations,
    encoder: Encoder,
    decoder: Decoder,
}

impl AutoencoderKl {
    /// # Errors
    /// An inconsistent config, or weights that are not exactly those of the config.
    pub fn load(config: &Config, weights: Weights, compute: &Compute) -> LoadResult<Self> {
        config.validate()?;
        let loaded = Self {
            config: config.clone(),
            compute: compute.clone(),
            activations: Activations::Keep,
            encoder: Encoder::load(config, &weights.scope("encoder", compute))?,
            decoder: Decoder::load(config, &weights.scope("decoder", compute))?,
        };
        weights.finish()?;
        Ok(loaded)
    }

    /// The same weights; the decoder's blocks are the segments of `activations`.
    pub fn with_activations(&self, activations: Activations) -> Self {
        Self {
            activations,
            ..self.clone()
        }
    }

    /// The posterior mean in diffusion's units, `scale (mean - shift)`: pixels `[B, 3, H, W]` in [-1, 1] to latents `[B, C, h, w]`.
    ///
    /// # Errors
    /// Sides that are not multiples of [`Self::downscale_factor`].
    pub fn encode_mean(&self, pixels: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = pixels.dims4()?;
        let factor = self.downscale_factor();
        if height == 0
            || width == 0
            || !height.is_multiple_of(factor)
            || !width.is_multiple_of(factor)
        {
            bail!("pixels of {height} x {width} are not a multiple of {factor} on both sides");
        }
        let moments = self
            .encoder
            .forward(&pixels.to_dtype(self.compute.dtype)?)?;
        let mean = moments
            .narrow(1, 0, self.config.latent_channels)?
            .contiguous()?;
        let scale = self.config.scaling_factor;
        mean.to_dtype(pixels.dtype())?
            .affine(scale, -scale * self.shift())
    }

    /// Latents `[B, C, h, w]` in diffusion's units to pixels `[B, 3, H, W]`, not clamped.
    ///
    /// # Errors
    /// Another number of channels.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let scaled = latents.affine(1.0 / self.config.scaling_factor, self.shift())?;
        self.decoder
            .forward(&scaled.to_dtype(self.compute.dtype)?, &self.activations)?
            .to_dtype(latents.dtype())
    }

    /// Pixels along one side of a latent pixel.
    pub fn downscale_factor(&self) -> usize {
        self.config.downscale_factor()
    }

    /// Where it runs.
    pub fn device(&self) -> Device {
        self.compute.device.clone()
    }

    pub fn latent_channels(&self) -> usize {
        self.config.latent_channels
    }

    fn shift(&self) -> f64 {
        self.config.shift_factor.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests;

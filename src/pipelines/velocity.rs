//! What a denoiser can be asked, whatever family it is of.
use candle_core::{DType, Result, Tensor};

use crate::models::zimage::{Captions, Transformer};

/// A model of the straight path `x_sigma = (1 - sigma) x0 + sigma noise`.
pub trait VelocityModel {
    /// What the prediction is conditioned on.
    type Conditioning;

    /// Velocity `noise - x0` of the target latents `[B, C, h, w]` at `sigma` `[B]`, 1 = noise.
    fn velocity(
        &self,
        latents: &Tensor,
        sigma: &Tensor,
        conditioning: &Self::Conditioning,
    ) -> Result<Tensor>;
}

/// The few-step editor.
#[derive(Debug, Clone)]
pub struct Generator(pub Transformer);

/// What the editor sees: the picture to be edited and what to change.
#[derive(Debug, Clone)]
pub struct EditConditioning {
    /// Latents of the reference, `[B, C, h, w]`.
    pub reference: Tensor,
    /// Encoded instructions.
    pub instruction: Captions,
}

impl VelocityModel for Generator {
    type Conditioning = EditConditioning;

    fn velocity(
        &self,
        latents: &Tensor,
        sigma: &Tensor,
        conditioning: &EditConditioning,
    ) -> Result<Tensor> {
        let EditConditioning {
            reference,
            instruction,
        } = conditioning;
        self.0
            .velocity_with_reference(latents, reference, sigma, instruction)
    }
}

/// The frozen text-to-image model, under classifier-free guidance in the form of its stock pipeline:
/// `positive + scale (positive - negative)`.
///
/// Source: diffusers `ZImagePipeline.__call__`, 0.42.1.
#[derive(Debug, Clone)]
pub struct GuidedTeacher {
    pub transformer: Transformer,
    pub guidance_scale: f64,
}

/// Encoded captions of the wanted and the unwanted picture.
#[derive(Debug, Clone)]
pub struct GuidedConditioning {
    pub positive: Captions,
    pub negative: Captions,
}

impl VelocityModel for GuidedTeacher {
    type Conditioning = GuidedConditioning;

    fn velocity(
        &self,
        latents: &Tensor,
        sigma: &Tensor,
        conditioning: &GuidedConditioning,
    ) -> Result<Tensor> {
        let sigma = &stock_sigma(sigma)?;
        let positive = self
            .transformer
            .velocity(latents, sigma, &conditioning.positive)?;
        let negative = self
            .transformer
            .velocity(latents, sigma, &conditioning.negative)?;
        &positive + (&positive - negative)?.affine(self.guidance_scale, 0.0)?
    }
}

/// Training steps of the stock scheduler: its timesteps are sigmas times this.
const TRAIN_TIMESTEPS: f32 = 1000.0;

/// `sigma` `[B]` after the stock pipeline's detour over float32 timesteps, in double precision. The detour moves the time by
/// a few ulp, which the sinusoids multiply by a thousand: without it the pictures drift from the stock pipeline's.
fn stock_sigma(sigma: &Tensor) -> Result<Tensor> {
    let sigma = sigma.to_dtype(DType::F32)?;
    let steps = Tensor::full(TRAIN_TIMESTEPS, sigma.shape(), sigma.device())?;
    let time = ((&steps - (&sigma * &steps)?)? / &steps)?;
    time.to_dtype(DType::F64)?.affine(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn the_time_is_the_stock_pipelines_to_the_last_bit() {
        let sigmas = Tensor::new(&[1.0f32, 0.923_076_9, 0.75], &Device::Cpu).unwrap();
        let sigma = stock_sigma(&sigmas).unwrap();
        let time: Vec<f64> = sigma.affine(-1.0, 1.0).unwrap().to_vec1().unwrap();
        assert_eq!(time, [0.0, f64::from(0.076_923_095_f32), 0.25]);
    }
}

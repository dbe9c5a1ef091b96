//! What a denoiser can be asked, whatever family it is of.
use candle_core::{DType, Result, Tensor};

use crate::models::zimage::{Captions, Prepared, Transformer};

/// A model of the straight path `x_sigma = (1 - sigma) x0 + sigma noise`.
pub trait VelocityModel {
    /// What the prediction is conditioned on.
    type Conditioning;
    /// The conditioning as far as it is the same at every noise level.
    type Prepared;

    /// Computes once what every step needs, for latents of the shape of `latents` `[B, C, h, w]`.
    fn prepare(
        &self,
        latents: &Tensor,
        conditioning: &Self::Conditioning,
    ) -> Result<Self::Prepared>;

    /// Velocity `noise - x0` of the target latents `[B, C, h, w]` at `sigma` `[B]`, 1 = noise.
    fn velocity(
        &self,
        latents: &Tensor,
        sigma: &Tensor,
        prepared: &Self::Prepared,
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

/// [`EditConditioning`] as far as it is the same at every noise level.
#[derive(Debug, Clone)]
pub struct PreparedEdit {
    /// Latents of the reference, `[B, C, h, w]`.
    reference: Tensor,
    tokens: Prepared,
}

impl VelocityModel for Generator {
    type Conditioning = EditConditioning;
    type Prepared = PreparedEdit;

    fn prepare(&self, latents: &Tensor, conditioning: &EditConditioning) -> Result<PreparedEdit> {
        let EditConditioning {
            reference,
            instruction,
        } = conditioning;
        Ok(PreparedEdit {
            reference: reference.clone(),
            tokens: self.0.prepare(&[reference, latents], instruction)?,
        })
    }

    fn velocity(
        &self,
        latents: &Tensor,
        sigma: &Tensor,
        prepared: &PreparedEdit,
    ) -> Result<Tensor> {
        let PreparedEdit { reference, tokens } = prepared;
        self.0.velocity_from(&[reference, latents], sigma, tokens)
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

/// [`GuidedConditioning`] as far as it is the same at every noise level.
#[derive(Debug, Clone)]
pub struct PreparedGuidance {
    positive: Prepared,
    negative: Prepared,
}

impl VelocityModel for GuidedTeacher {
    type Conditioning = GuidedConditioning;
    type Prepared = PreparedGuidance;

    fn prepare(
        &self,
        latents: &Tensor,
        conditioning: &GuidedConditioning,
    ) -> Result<PreparedGuidance> {
        let prepare = |captions| self.transformer.prepare(&[latents], captions);
        Ok(PreparedGuidance {
            positive: prepare(&conditioning.positive)?,
            negative: prepare(&conditioning.negative)?,
        })
    }

    fn velocity(
        &self,
        latents: &Tensor,
        sigma: &Tensor,
        prepared: &PreparedGuidance,
    ) -> Result<Tensor> {
        let sigma = &stock_sigma(sigma)?;
        let velocity = |tokens| self.transformer.velocity_from(&[latents], sigma, tokens);
        let positive = velocity(&prepared.positive)?;
        let negative = velocity(&prepared.negative)?;
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

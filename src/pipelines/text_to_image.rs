//! The stock text-to-image form: the frozen teacher under classifier-free guidance.
//!
//! Source: diffusers `ZImagePipeline.__call__`, 0.42.1.
use std::ops::ControlFlow;

use candle_core::{Result, Tensor};

use super::{
    denoise::{DenoiseStep, Denoised, Denoiser},
    noise::NoiseDraw,
    sampler::Sampler,
    sigmas::Sigmas,
    velocity::{GuidedConditioning, GuidedTeacher},
};

/// Denoises `initial` `[B, C, h, w]` with Euler steps to clean latents `[B, C, h, w]`, as the stock pipeline does.
pub fn text_to_latents(
    teacher: &GuidedTeacher,
    captions: &GuidedConditioning,
    sigmas: &Sigmas,
    initial: &Tensor,
    observe: &mut dyn FnMut(&DenoiseStep),
) -> Result<Tensor> {
    let denoiser = Denoiser {
        model: teacher,
        conditioning: captions,
        sigmas,
        sampler: Sampler::Euler,
    };
    let noise = NoiseDraw {
        initial: initial.clone(),
        steps: vec![initial.zeros_like()?; sigmas.steps()],
    };
    let denoised = denoiser.run(&noise, &mut |step| {
        observe(step);
        ControlFlow::Continue(())
    })?;
    match denoised {
        Denoised::Finished(latents) => Ok(latents),
        Denoised::Stopped { steps } => {
            candle_core::bail!("stopped after {steps} steps, though nothing can stop it")
        }
    }
}

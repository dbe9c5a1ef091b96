//! Distribution matching distillation (arXiv 2405.14867) as the reference does it.
use candle_core::{Result as TensorResult, Tensor};
use npedit::{
    models::zimage::{Captions, Transformer},
    pipelines::sampler::predict_x0,
    training::losses::{
        dmd::{CleanPredictions, Normaliser, direction},
        flow::noised,
    },
};
use serde_json::Value;

use crate::{
    ledger::{Failure, values},
    system::{System, text},
};

/// What the loss is computed from, besides the generator's x0.
pub struct DmdInputs {
    time: f32,
    noise: Tensor,
    edited: Captions,
    unconditional: Captions,
    guidance_scale: f64,
}

/// Scores at a re-noised x0, and the gradients that they make.
pub struct Dmd {
    time: Tensor,
    noisy: Tensor,
    fake: Tensor,
    conditional: Tensor,
    unconditional: Tensor,
    real: Tensor,
    x0_fake: Tensor,
    x0_real: Tensor,
    weight_per_pixel: Tensor,
    weight_per_sample: Tensor,
    pub per_pixel: Tensor,
    pub per_sample: Tensor,
}

impl DmdInputs {
    pub fn read(system: &System, case: &Value, inputs: &str) -> Result<Self, Failure> {
        let u = values(&system.tensor(&format!("{inputs}.u_dmd"))?)?[0] as f32;
        Ok(Self {
            time: 0.02 + 0.96 * u,
            noise: system.latents(&format!("{inputs}.eps_dmd"))?,
            edited: system.captions(text(case, "edited_caption")?)?,
            unconditional: system
                .captions(text(&system.variant.cases["train"], "negative_prompt")?)?,
            guidance_scale: case["cfg"].as_f64().ok_or("a case has no cfg")?,
        })
    }
}

impl Dmd {
    /// No gradient goes through the scores.
    pub fn run(
        inputs: &DmdInputs,
        x0: &Tensor,
        (fake, teacher): (&Transformer, &Transformer),
    ) -> TensorResult<Self> {
        let x0 = &x0.detach();
        let level = f64::from(inputs.time);
        let time = Tensor::new(&[inputs.time], x0.device())?;
        let noisy = noised(x0, &inputs.noise, &time)?;
        let fake = fake.velocity(&noisy, &time, &inputs.edited)?.detach();
        let conditional = teacher.velocity(&noisy, &time, &inputs.edited)?;
        let unconditional = teacher.velocity(&noisy, &time, &inputs.unconditional)?;
        let guided = (&conditional - &unconditional)?.affine(inputs.guidance_scale, 0.0)?;
        let real = (&unconditional + guided)?;
        let predictions = CleanPredictions {
            real: predict_x0(&noisy, &real, level)?,
            fake: predict_x0(&noisy, &fake, level)?,
        };
        let p_real = (x0 - &predictions.real)?;
        let weight_per_pixel = p_real.abs()?.mean_keepdim(1)?.maximum(1e-8)?;
        let weight_per_sample = p_real.abs()?.mean_keepdim((1, 2, 3))?.maximum(1e-8)?;
        Ok(Self {
            per_pixel: direction(x0, &predictions, Normaliser::PerPixel)?,
            per_sample: direction(x0, &predictions, Normaliser::PerSample)?,
            time,
            noisy,
            fake,
            conditional,
            unconditional,
            real,
            x0_fake: predictions.fake,
            x0_real: predictions.real,
            weight_per_pixel,
            weight_per_sample,
        })
    }

    /// Everything by its recorded name, with the family of its tolerance.
    pub fn outputs(&self) -> TensorResult<Vec<(&'static str, Tensor, &'static str)>> {
        Ok(vec![
            ("dmd_t", self.time.clone(), "timesteps"),
            ("dmd_x_t", self.noisy.clone(), "latents"),
            ("v_fake", self.fake.clone(), "velocities"),
            ("v_cond", self.conditional.clone(), "velocities"),
            ("v_uncond", self.unconditional.clone(), "velocities"),
            ("v_real", self.real.clone(), "velocities"),
            ("x0_fake", self.x0_fake.clone(), "latents"),
            ("x0_real", self.x0_real.clone(), "latents"),
            ("w_per_pixel", self.weight_per_pixel.clone(), "latents"),
            ("w_per_sample", self.weight_per_sample.clone(), "latents"),
            (
                "dmd_grad_per_pixel",
                self.per_pixel.clone(),
                "dmd_grad_per_pixel",
            ),
            ("dmd_grad_per_sample", self.per_sample.clone(), "latents"),
        ])
    }
}

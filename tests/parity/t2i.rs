//! The stock text-to-image pipeline on the bundle's own transformer.
use candle_core::Tensor;
use npedit::{
    models::{qwen3::Thinking, zimage::Captions},
    pipelines::{
        image::from_pixels,
        sigmas::Sigmas,
        text_to_image::text_to_latents,
        velocity::{GuidedConditioning, GuidedTeacher},
    },
};
use serde_json::Value;

use crate::{
    ledger::{Failure, Ledger, values},
    system::{System, numbers, text, texts},
};

pub fn compare(system: &System, ledger: &mut Ledger) -> Result<(), Failure> {
    for case in system.variant.cases["t2i"].as_array().into_iter().flatten() {
        let id = text(case, "id")?;
        if let Err(error) = compare_case(system, id, case, ledger) {
            ledger.broken(&format!("t2i.{id}"), &error);
        }
    }
    Ok(())
}

fn compare_case(
    system: &System,
    id: &str,
    case: &Value,
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let out = |name: &str| format!("out.t2i.{id}.{name}");
    let captions = compare_texts(system, id, case, ledger)?;
    let guidance_scale = case["guidance_scale"]
        .as_f64()
        .ok_or("a case has no guidance_scale")?;
    let teacher = GuidedTeacher {
        transformer: system.teacher.clone(),
        guidance_scale,
    };

    let steps = case["num_inference_steps"]
        .as_u64()
        .ok_or("a case has no num_inference_steps")?;
    let scheduler = system.json("scheduler/scheduler_config.json")?;
    let shift = scheduler["shift"]
        .as_f64()
        .ok_or("the scheduler has no shift")?;
    let sigmas = Sigmas::uniform(usize::try_from(steps)?, shift)?;
    compare_schedule(system, id, &sigmas, ledger)?;

    let initial = system.tensor(&format!("in.t2i.{id}.latents"))?;
    let mut latents = vec![initial.clone()];
    let last = text_to_latents(&teacher, &captions, &sigmas, &initial, &mut |step| {
        latents.push(step.latents.clone());
    })?;
    for (name, captions) in [
        ("model_out_pos", &captions.positive),
        ("model_out_neg", &captions.negative),
    ] {
        let mut outputs = Vec::new();
        for ((sigma, _), latents) in sigmas.pairs().zip(&latents) {
            let sigma = Tensor::full(sigma as f32, 1, initial.device())?;
            // the network's own sign: x0 - noise
            let output = system.teacher.velocity(latents, &sigma, captions)?.neg()?;
            outputs.push(output.squeeze(0)?.unsqueeze(1)?);
        }
        ledger.tensor(&out(name), &Tensor::stack(&outputs, 0)?, "velocities")?;
    }
    ledger.tensor(&out("x"), &Tensor::stack(&latents[1..], 0)?, "latents")?;

    let vae = system.json("vae/config.json")?;
    let (scale, shift) = (vae["scaling_factor"].as_f64(), vae["shift_factor"].as_f64());
    let unscaled = last.affine(
        1.0 / scale.ok_or("the VAE has no scaling_factor")?,
        shift.unwrap_or(0.0),
    )?;
    ledger.tensor(&out("vae_in"), &unscaled, "latents")?;
    let decoded = system.bundle.vae.decode(&last)?;
    ledger.tensor(&out("decoded"), &decoded, "decoded")?;
    let picture: Vec<f64> = from_pixels(&decoded)?
        .into_iter()
        .flat_map(|image| image.into_raw())
        .map(f64::from)
        .collect();
    let recorded = values(&system.tensor(&out("image_uint8"))?)?;
    ledger.values(&out("image_uint8"), &picture, &recorded, "uint8 image");
    Ok(())
}

/// Both texts, each on its own: they have their own padded length.
fn compare_texts(
    system: &System,
    id: &str,
    case: &Value,
    ledger: &mut Ledger,
) -> Result<GuidedConditioning, Failure> {
    let prompts = [text(case, "prompt")?, text(case, "negative_prompt")?];
    let expected = |key: &str| format!("t2i.{id}.expected.{key}");
    let encoder = &system.bundle.text;
    let (mut templated, mut ids, mut captions) = (Vec::new(), Vec::new(), Vec::new());
    for (prompt, name) in prompts.iter().zip(["txt_pos", "txt_neg"]) {
        let text = encoder.tokenizer.template(prompt, Thinking::Enabled)?;
        ids.extend(
            encoder
                .tokenizer
                .encode(&text)?
                .ids
                .iter()
                .map(|id| f64::from(*id)),
        );
        templated.push(text);
        let features = encoder.encode(prompt, Thinking::Enabled)?.features;
        ledger.tensor(
            &format!("out.t2i.{id}.{name}"),
            &features.squeeze(0)?,
            "txt",
        )?;
        captions.push(Captions::new(&[features])?);
    }
    let recorded = texts(system.variant.expected(case, "expected.templated_text")?);
    ledger.texts(&expected("templated_text"), &templated, &recorded);
    let recorded = numbers(system.variant.expected(case, "expected.input_ids")?);
    ledger.values(&expected("input_ids"), &ids, &recorded, "token ids");
    let negative = captions.pop().ok_or("no negative prompt")?;
    let positive = captions.pop().ok_or("no prompt")?;
    Ok(GuidedConditioning { positive, negative })
}

fn compare_schedule(
    system: &System,
    id: &str,
    sigmas: &Sigmas,
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let scale = system.teacher.config().t_scale as f32;
    let all: Vec<f32> = sigmas
        .as_slice()
        .iter()
        .map(|sigma| *sigma as f32)
        .collect();
    let timesteps: Vec<f32> = sigmas
        .pairs()
        .map(|(sigma, _)| sigma as f32 * scale)
        .collect();
    // both texts run as one batch there
    let times: Vec<f32> = timesteps
        .iter()
        .flat_map(|time| [(scale - time) / scale; 2])
        .collect();
    for (name, ours) in [
        ("sigmas", all),
        ("timesteps", timesteps),
        ("model_t", times),
    ] {
        let name = format!("out.t2i.{id}.{name}");
        let ours: Vec<f64> = ours.into_iter().map(f64::from).collect();
        ledger.values(&name, &ours, &values(&system.tensor(&name)?)?, "timesteps");
    }
    Ok(())
}

//! The reference's warm-up: flow matching back to the reference image itself.
use candle_core::Tensor;
use npedit::{
    models::zimage::{Captions, PaddingAttention},
    training::losses::flow::{logit_normal, losses, noised},
};

use super::{
    fake_score::compare_loss,
    tracked::{full, student_weights},
};
use crate::{
    ledger::{Failure, Ledger, values},
    system::{System, numbers, texts},
};

pub fn compare(system: &System, ledger: &mut Ledger) -> Result<(), Failure> {
    let setup = &system.variant.cases["train"]["warmup"];
    let references = texts(&setup["references"])
        .iter()
        .map(|path| system.encode_image(path))
        .collect::<Result<Vec<_>, _>>()?;
    let reference = Tensor::cat(&references, 0)?;
    let prompts = texts(&setup["prompts"])
        .iter()
        .map(|text| Ok(system.encode_text(text)?.features))
        .collect::<Result<Vec<_>, Failure>>()?;
    for (item, features) in prompts.iter().enumerate() {
        ledger.tensor(
            &format!("out.train.warmup.txt{item}"),
            &features.squeeze(0)?,
            "txt",
        )?;
    }
    let shift = setup["shift"].as_f64().ok_or("the warm-up has no shift")?;
    let uniform = values(&system.tensor("in.train.warmup.u")?)?;
    let times: Vec<f64> = uniform
        .iter()
        .map(|u| shift * u / (1.0 + (shift - 1.0) * u))
        .collect();
    let weights: Vec<f64> = times.iter().map(|time| logit_normal(*time)).collect();
    let device = reference.device();
    let column = |values: &[f64]| -> candle_core::Result<Tensor> {
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        Tensor::new(values, device)
    };
    let (time, weight) = (column(&times)?, column(&weights)?);
    let noise = system.latents("in.train.warmup.eps")?;
    let noisy = noised(&reference, &noise, &time)?;
    let target = (&noise - &reference)?;
    let both = Tensor::cat(&[&reference, &noisy], 2)?;
    for (name, tensor, family) in [
        ("t", &time, "timesteps"),
        ("weight", &weight, "schedules"),
        ("ref_latents", &reference.unsqueeze(2)?, "latents"),
        ("target", &target.unsqueeze(2)?, "latents"),
        ("x_cat", &both.unsqueeze(2)?, "latents"),
    ] {
        ledger.tensor(&format!("out.train.warmup.{name}"), tensor, family)?;
    }
    let captions = Captions::new(&prompts)?;
    for (id, padding) in [
        ("warmup", PaddingAttention::Attend),
        ("warmup.masked", PaddingAttention::Mask),
    ] {
        let (generator, vars) = full(system, student_weights(system)?)?;
        let generator = generator.with_padding(padding);
        let velocity = generator.velocity_with_reference(&noisy, &reference, &time, &captions)?;
        let losses = (losses(&velocity, &reference, &noise)? * &weight)?;
        ledger.tensor(
            &format!("out.train.{id}.v"),
            &velocity.unsqueeze(2)?,
            "velocities",
        )?;
        ledger.tensor(&format!("out.train.{id}.loss_vec"), &losses, "velocities")?;
        let mode = if id == "warmup" { "warmup.fa4" } else { id };
        let recorded = numbers(&system.variant.cases["train"]["expected"][mode]["loss_vec"]);
        ledger.values(
            &format!("train.{mode}.expected.loss_vec"),
            &values(&losses)?,
            &recorded,
            "velocities",
        );
        let loss = losses.mean_all()?;
        compare_loss(system, id, (&loss, &loss.backward()?, &vars), ledger)?;
    }
    Ok(())
}

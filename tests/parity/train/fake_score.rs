//! One update of the fake score, merged and un-merged: loss and gradients.
use candle_core::{Tensor, backprop::GradStore};
use npedit::{
    models::zimage::Transformer,
    training::{
        losses::flow::{losses, noised},
        optimiser::gradients_of,
    },
};

use super::{
    rollout::Start,
    tracked::{Adapter, Gradients, Vars, bundle_weights, full},
    updates::{Recorded, scaled},
};
use crate::{
    ledger::{Failure, Ledger, values},
    system::{System, text},
};

pub fn compare(system: &System, ledger: &mut Ledger) -> Result<(), Failure> {
    let adapter = Adapter::read(
        system,
        text(&system.variant.cases["train"]["lora"], "fake")?,
    )?;
    let mut weights = bundle_weights(system)?;
    adapter.merge(&mut weights)?;
    let (merged, vars) = full(system, weights)?;
    compare_one(system, "fake_full", (&merged, &vars), ledger)?;
    let (adapted, vars) = adapter.beside(&system.teacher)?;
    compare_one(system, "fake_lora", (&adapted, &vars), ledger)
}

fn compare_one(
    system: &System,
    id: &str,
    (fake, vars): (&Transformer, &Vars),
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let train = &system.variant.cases["train"];
    let case = &train["cases"][text(&train["fake"], "case")?];
    let out = |name: &str| format!("out.train.{id}.{name}");
    let start = Start::read(system, case, "in.train.fake")?;
    let x0 = start.unroll(&system.bundle.generator.0)?.x0.detach();
    let time = system.tensor("in.train.fake.u_fake")?;
    let noise = system.latents("in.train.fake.eps_fake")?;
    let noisy = noised(&x0, &noise, &time)?;
    let target = (&noise - &x0)?;
    let velocity = fake.velocity(
        &noisy,
        &time,
        &system.captions(text(case, "edited_caption")?)?,
    )?;
    let loss = losses(&velocity, &x0, &noise)?.mean_all()?;
    ledger.tensor(&out("t"), &time, "timesteps")?;
    for (name, tensor, family) in [
        ("x_t", &noisy, "latents"),
        ("target", &target, "latents"),
        ("v", &velocity, "velocities"),
    ] {
        ledger.tensor(&out(name), &tensor.unsqueeze(2)?, family)?;
    }
    let mut grads = loss.backward()?;
    compare_loss(system, id, (&loss, &grads, vars), ledger)?;
    let gradients = gradients_of(vars, &mut grads);
    let recorded = Recorded {
        out: format!("out.train.{id}"),
        expected: (format!("train.{id}.expected"), &train["expected"][id]),
    };
    let second = scaled(&gradients, -0.5)?;
    recorded.compare(system, vars, [gradients, second], ledger)
}

/// The loss, recorded as a tensor and a number, and all of its gradients.
pub fn compare_loss(
    system: &System,
    id: &str,
    (loss, grads, vars): (&Tensor, &GradStore, &Vars),
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    ledger.tensor(&format!("out.train.{id}.loss"), loss, "velocities")?;
    let gradients = Gradients { vars, grads };
    gradients.compare(system, &format!("out.train.{id}.grad"), ledger)?;
    // the two modes of one case stand side by side in cases.json
    let key = match id {
        "warmup" => "warmup.fa4",
        other => other,
    };
    let recorded = &system.variant.cases["train"]["expected"][key];
    let expected = |name: &str| format!("train.{key}.expected.{name}");
    let number = |name: &str| {
        recorded[name]
            .as_f64()
            .ok_or(format!("{key} has no {name}"))
    };
    ledger.values(
        &expected("loss"),
        &values(loss)?,
        &[number("loss")?],
        "velocities",
    );
    gradients.compare_norm(&expected("grad_norm"), number("grad_norm")?, ledger)?;
    gradients.compare_norms(
        &expected("param_grad_norms"),
        &recorded["param_grad_norms"],
        ledger,
    )
}

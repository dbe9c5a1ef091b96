//! The generator's unrolled steps, and the losses that go back through all of them.
use candle_core::{Tensor, Var, backprop::GradStore};
use npedit::{
    models::zimage::{Captions, PaddingAttention, Transformer},
    pipelines::sampler::predict_x0,
};
use serde_json::Value;

use super::{
    dmd::{Dmd, DmdInputs},
    tracked::{Adapter, Gradients, Vars, bundle_weights, full, student_weights},
};
use crate::{
    edit::clipped,
    ledger::{Failure, Ledger, values},
    system::{System, numbers, text},
};

/// What one case of the training step starts from.
pub struct Start {
    pub reference: Tensor,
    pub instruction: Captions,
    /// Noise levels at which the generator is asked.
    levels: Vec<f64>,
    /// Latents at the first level, then fresh noise for each later one.
    noises: Vec<Tensor>,
}

/// The unrolled steps. Nothing is detached.
pub struct Rollout {
    latents: Vec<Tensor>,
    velocities: Vec<Tensor>,
    pub x0: Tensor,
}

impl Start {
    /// `inputs` names the recorded noise, such as `in.train.main`.
    pub fn read(system: &System, case: &Value, inputs: &str) -> Result<Self, Failure> {
        let mut levels = numbers(&case["timesteps"]);
        levels.retain(|level| *level > 0.0);
        let names = (0..levels.len()).map(|step| {
            if step == 0 {
                "z1".into()
            } else {
                format!("eps{}", step + 1)
            }
        });
        let noises = names.map(|name| system.latents(&format!("{inputs}.{name}")));
        Ok(Self {
            reference: system.encode_image(text(case, "reference")?)?,
            instruction: system.captions(text(case, "instruction")?)?,
            noises: noises.collect::<Result<_, _>>()?,
            levels,
        })
    }

    pub fn unroll(&self, generator: &Transformer) -> Result<Rollout, Failure> {
        let (mut latents, mut velocities) = (Vec::new(), Vec::new());
        let mut x0: Option<Tensor> = None;
        for (level, noise) in self.levels.iter().zip(&self.noises) {
            let x = match &x0 {
                None => noise.clone(),
                Some(x0) => (x0.affine(1.0 - level, 0.0)? + noise.affine(*level, 0.0)?)?,
            };
            let sigma = Tensor::full(*level as f32, x.dim(0)?, x.device())?;
            let velocity = generator.velocity_with_reference(
                &x,
                &self.reference,
                &sigma,
                &self.instruction,
            )?;
            x0 = Some(predict_x0(&x, &velocity, *level)?);
            latents.push(x);
            velocities.push(velocity);
        }
        let x0 = x0.ok_or("a case has no steps")?;
        Ok(Rollout {
            latents,
            velocities,
            x0,
        })
    }
}

/// One recorded pass over one case.
struct Pass<'a> {
    system: &'a System<'a>,
    id: &'a str,
    case: &'a Value,
    mode: &'a str,
}

pub fn compare(system: &System, ledger: &mut Ledger) -> Result<(), Failure> {
    let train = &system.variant.cases["train"];
    let recorded = train["expected"].as_object().ok_or("nothing is expected")?;
    for (id, case) in train["cases"].as_object().into_iter().flatten() {
        for (mode, padding) in [
            ("fa4", PaddingAttention::Attend),
            ("masked", PaddingAttention::Mask),
        ] {
            if !recorded.contains_key(&format!("{id}.{mode}")) {
                continue;
            }
            let pass = Pass {
                system,
                id,
                case,
                mode,
            };
            let (generator, vars) = full(system, student_weights(system)?)?;
            if let Err(error) = pass.compare(&generator.with_padding(padding), &vars, ledger) {
                ledger.broken(&format!("train.{id}.{mode}"), &error);
            }
        }
    }
    compare_adapted(system, ledger)
}

impl Pass<'_> {
    /// `x1` of the main mode is `out.train.ID.x1`, of the other `out.train.ID.masked.x1`.
    fn out(&self, name: &str) -> String {
        match self.mode {
            "fa4" => format!("out.train.{}.{name}", self.id),
            mode => format!("out.train.{}.{mode}.{name}", self.id),
        }
    }

    fn expected(&self, key: &str) -> (String, Option<f64>) {
        let case = format!("{}.{}", self.id, self.mode);
        let recorded = &self.system.variant.cases["train"]["expected"][&case];
        let value = key.split('.').fold(recorded, |value, key| &value[key]);
        (format!("train.{case}.expected.{key}"), value.as_f64())
    }

    fn compare(
        &self,
        generator: &Transformer,
        vars: &Vars,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let system = self.system;
        let start = Start::read(system, self.case, &format!("in.train.{}", self.id))?;
        self.compare_inputs(&start, ledger)?;
        let rollout = start.unroll(generator)?;
        self.compare_steps(&start, &rollout, ledger)?;

        // losses on a leaf first: their gradient by x0 alone
        let leaf = Var::from_tensor(&rollout.x0.detach())?;
        // the text-to-image path has no mask in either mode
        let fake = full_fake(system)?;
        let teacher = &system.teacher;
        let inputs = DmdInputs::read(system, self.case, &format!("in.train.{}", self.id))?;
        let dmd = Dmd::run(&inputs, leaf.as_tensor(), (&fake, teacher))?;
        for (name, tensor, family) in dmd.outputs()? {
            self.tensor(name, &tensor, family, ledger)?;
        }
        let identity = (self.case["task_type"] == "do nothing").then_some(&start.reference);
        for (loss, short) in [("dmd_pp", "dmd_pp"), ("dmd_ps", "dmd_ps"), ("mse", "mse")] {
            let value = |x0: &Tensor| -> Result<Option<Tensor>, Failure> {
                Ok(match (short, identity) {
                    ("dmd_pp", _) => Some(dmd.loss(x0, &dmd.per_pixel)?),
                    ("dmd_ps", _) => Some(dmd.loss(x0, &dmd.per_sample)?),
                    (_, Some(reference)) => Some((x0 - reference)?.sqr()?.mean_all()?),
                    _ => None,
                })
            };
            let (name, recorded) = self.expected(&format!("losses.{loss}"));
            let (Some(on_leaf), Some(recorded)) = (value(leaf.as_tensor())?, recorded) else {
                if let Some(recorded) = recorded {
                    ledger.values(&name, &[0.0], &[recorded], "latents");
                }
                continue;
            };
            ledger.values(&name, &values(&on_leaf)?, &[recorded], "dmd_grad_per_pixel");
            let grads = on_leaf.backward()?;
            let grad = grads.get(&leaf).ok_or("x0 has no gradient")?;
            self.tensor(&format!("dx0_{loss}"), grad, "gradients", ledger)?;

            let whole = value(&rollout.x0)?.ok_or("a loss vanished")?;
            self.compare_gradients(loss, vars, &whole.backward()?, ledger)?;
        }
        Ok(())
    }

    fn compare_inputs(&self, start: &Start, ledger: &mut Ledger) -> Result<(), Failure> {
        self.tensor("ref_latents", &start.reference, "latents", ledger)?;
        let uncond = text(&self.system.variant.cases["train"], "negative_prompt")?;
        let texts = [
            ("txt", text(self.case, "instruction")?),
            ("txt_edited", text(self.case, "edited_caption")?),
            ("txt_uncond", uncond),
        ];
        for (name, text) in texts {
            if ledger.wants(&self.out(name)) {
                ledger.tensor(
                    &self.out(name),
                    &self.system.encode_text(text)?.features,
                    "txt",
                )?;
            }
        }
        let (name, recorded) = self.expected("k");
        if let Some(recorded) = recorded {
            let asked = self.case["k"].as_f64().ok_or("a case has no k")?;
            ledger.values(&name, &[asked], &[recorded], "token ids");
        }
        Ok(())
    }

    fn compare_steps(
        &self,
        start: &Start,
        rollout: &Rollout,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let steps = rollout
            .latents
            .iter()
            .zip(&rollout.velocities)
            .zip(&start.levels);
        for (step, ((x, v), level)) in steps.enumerate() {
            let step = step + 1;
            self.tensor(&format!("x{step}"), x, "latents", ledger)?;
            self.tensor(&format!("v{step}"), v, "velocities", ledger)?;
            let time = Tensor::new(&[*level as f32], x.device())?;
            self.tensor(&format!("t{step}"), &time, "timesteps", ledger)?;
        }
        self.tensor("x0", &rollout.x0, "latents", ledger)?;
        let decoded = self.system.bundle.vae.decode(&rollout.x0.detach())?;
        self.tensor("decoded", &decoded, "decoded", ledger)?;
        if let (name, Some(recorded)) = self.expected("clamped_pixel_fraction") {
            ledger.values(&name, &[clipped(&decoded)?], &[recorded], "decoded");
        }
        Ok(())
    }

    fn compare_gradients(
        &self,
        loss: &str,
        vars: &Vars,
        grads: &GradStore,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let gradients = Gradients { vars, grads };
        gradients.compare(self.system, &self.out(&format!("grad_{loss}")), ledger)?;
        if let (name, Some(recorded)) = self.expected(&format!("grad_norms.{loss}")) {
            gradients.compare_norm(&name, recorded, ledger)?;
        }
        Ok(())
    }

    /// Compares where recorded; latents there have a frame axis.
    fn tensor(
        &self,
        name: &str,
        ours: &Tensor,
        family: &str,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let name = self.out(name);
        if !ledger.wants(&name) {
            return Ok(());
        }
        let ours = if ours.rank() == 4 {
            ours.unsqueeze(2)?
        } else {
            ours.clone()
        };
        ledger.tensor(&name, &ours, family)
    }
}

/// The fake score with its adapter merged, frozen.
fn full_fake(system: &System) -> Result<Transformer, Failure> {
    let mut weights = bundle_weights(system)?;
    Adapter::read(
        system,
        text(&system.variant.cases["train"]["lora"], "fake")?,
    )?
    .merge(&mut weights)?;
    let (transformer, _) = full(system, weights)?;
    Ok(transformer)
}

/// The editor with low-rank branches: the same first case.
fn compare_adapted(system: &System, ledger: &mut Ledger) -> Result<(), Failure> {
    let train = &system.variant.cases["train"];
    let name = "out.train.lora.x0";
    if !ledger.wants(name) {
        return Ok(());
    }
    let adapter = Adapter::read(system, text(&train["lora"], "student")?)?;
    let (generator, _) = adapter.beside(&system.bundle.generator.0)?;
    let start = Start::read(system, &train["cases"]["main"], "in.train.main")?;
    let rollout = start.unroll(&generator)?;
    ledger.tensor(name, &rollout.x0.unsqueeze(2)?, "latents")?;
    let inputs = DmdInputs::read(system, &train["cases"]["main"], "in.train.main")?;
    let dmd = Dmd::run(
        &inputs,
        &rollout.x0.detach(),
        (&full_fake(system)?, &system.teacher),
    )?;
    let recorded = &train["expected"]["lora"]["losses"];
    for (loss, gradient) in [("dmd_pp", &dmd.per_pixel), ("dmd_ps", &dmd.per_sample)] {
        if let Some(recorded) = recorded[loss].as_f64() {
            let ours = values(&dmd.loss(&rollout.x0, gradient)?)?;
            ledger.values(
                &format!("train.lora.expected.losses.{loss}"),
                &ours,
                &[recorded],
                "dmd_grad_per_pixel",
            );
        }
    }
    if let Some(recorded) = recorded["mse"].as_f64() {
        ledger.values(
            "train.lora.expected.losses.mse",
            &[0.0],
            &[recorded],
            "latents",
        );
    }
    Ok(())
}

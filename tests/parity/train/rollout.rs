//! The generator's unrolled steps, and the losses that go back through all of them.
use std::collections::BTreeMap;

use candle_core::{Tensor, Var, backprop::GradStore};
use npedit::{
    models::zimage::{Captions, PaddingAttention, Transformer},
    pipelines::{
        judge::Judge,
        noise::NoiseDraw,
        sigmas::Sigmas,
        velocity::{EditConditioning, Generator},
    },
    training::{optimiser as opt, unroll::Unroll},
};
use serde_json::Value;

use super::{
    dmd::{Dmd, DmdInputs},
    judged::Judged,
    losses::Losses,
    tracked::{Adapter, Gradients, Vars, full, full_fake, student_weights},
    updates::{Recorded, scaled},
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
    /// At every level, and x0 at last.
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
        let [initial, later @ ..] = self.noises.as_slice() else {
            return Err("a case has no noise".into());
        };
        let unroll = Unroll {
            sigmas: Sigmas::from_levels(&self.levels)?,
            noise: NoiseDraw {
                initial: initial.clone(),
                // the last step ends at x0 and uses none
                steps: [later, std::slice::from_ref(initial)].concat(),
            },
        };
        let conditioning = EditConditioning {
            reference: self.reference.clone(),
            instruction: self.instruction.clone(),
        };
        let (mut latents, mut velocities) = (vec![initial.clone()], Vec::new());
        let generator = Generator(generator.clone());
        let x0 = unroll.run(&generator, &conditioning, &mut |step| {
            velocities.push(step.velocity.clone());
            latents.push(step.latents.clone());
        })?;
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
    judge: &'a Judge,
    case: &'a Value,
    /// Where its noise is recorded, such as `in.train.main`.
    inputs: String,
    /// Where its tensors are recorded, such as `out.train.main.masked`.
    out: String,
    /// Where its numbers are recorded, such as `main.masked`.
    key: String,
}

/// Gradients of each loss by parameter.
type ByLoss = BTreeMap<&'static str, opt::Gradients>;

const LOSSES: [&str; 6] = ["dmd_pp", "dmd_ps", "mse", "vlm", "total", "total_ps"];

pub fn compare(system: &System, judge: &Judge, ledger: &mut Ledger) -> Result<(), Failure> {
    let train = &system.variant.cases["train"];
    let recorded = train["expected"].as_object().ok_or("nothing is expected")?;
    let mut totals = BTreeMap::new();
    for (id, case) in train["cases"].as_object().into_iter().flatten() {
        for (mode, padding) in [
            ("fa4", PaddingAttention::Attend),
            ("masked", PaddingAttention::Mask),
        ] {
            let key = format!("{id}.{mode}");
            if !recorded.contains_key(&key) {
                continue;
            }
            let pass = Pass {
                system,
                judge,
                case,
                inputs: format!("in.train.{id}"),
                out: match mode {
                    "fa4" => format!("out.train.{id}"),
                    mode => format!("out.train.{id}.{mode}"),
                },
                key,
            };
            let (generator, vars) = full(system, student_weights(system)?)?;
            match pass.compare(&generator.with_padding(padding), &vars, ledger) {
                Ok(mut gradients) if mode == "fa4" => {
                    totals.extend(gradients.remove("total").map(|total| (id.as_str(), total)));
                }
                Ok(_) => {}
                Err(error) => ledger.broken(&format!("train.{id}.{mode}"), &error),
            }
        }
    }
    compare_updates(system, &totals, ledger)?;
    compare_adapted(system, judge, ledger)
}

impl Pass<'_> {
    fn out(&self, name: &str) -> String {
        format!("{}.{name}", self.out)
    }

    fn expected(&self, key: &str) -> (String, Option<f64>) {
        let recorded = &self.system.variant.cases["train"]["expected"][&self.key];
        let value = key.split('.').fold(recorded, |value, key| &value[key]);
        let name = format!("train.{}.expected.{key}", self.key);
        (name, value.as_f64())
    }

    fn compare(
        &self,
        generator: &Transformer,
        vars: &Vars,
        ledger: &mut Ledger,
    ) -> Result<ByLoss, Failure> {
        let system = self.system;
        let start = Start::read(system, self.case, &self.inputs)?;
        self.compare_inputs(&start, ledger)?;
        let rollout = start.unroll(generator)?;
        self.compare_steps(&start, &rollout, ledger)?;

        // losses on a leaf first: their gradient by x0 alone
        let leaf = Var::from_tensor(&rollout.x0.detach())?;
        // the text-to-image path has no mask in either mode
        let fake = full_fake(system)?;
        let inputs = DmdInputs::read(system, self.case, &self.inputs)?;
        let dmd = Dmd::run(&inputs, leaf.as_tensor(), (&fake, &system.teacher))?;
        for (name, tensor, family) in dmd.outputs()? {
            self.tensor(name, &tensor, family, ledger)?;
        }
        let judged = Judged::read(system, self.judge, self.case)?;
        self.compare_answers(&judged, leaf.as_tensor(), ledger)?;
        let losses = Losses {
            weights: &system.variant.cases["train"]["weights"],
            dmd,
            judged,
            identity: (self.case["task_type"] == "do nothing").then_some(start.reference),
        };
        let mut gradients = ByLoss::new();
        for loss in LOSSES {
            let (name, recorded) = self.expected(&format!("losses.{loss}"));
            let on_leaf = losses.value(loss, leaf.as_tensor())?;
            if let Some(recorded) = recorded {
                let family = match loss {
                    "vlm" => "judge logits",
                    _ => "dmd_grad_per_pixel",
                };
                ledger.values(&name, &values(&on_leaf)?, &[recorded], family);
            }
            if loss == "mse" && losses.identity.is_none() {
                continue;
            }
            let grads = on_leaf.backward()?;
            let grad = grads.get(&leaf).ok_or("x0 has no gradient")?;
            self.tensor(&format!("dx0_{loss}"), grad, "gradients", ledger)?;

            let mut grads = losses.value(loss, &rollout.x0)?.backward()?;
            self.compare_gradients(loss, vars, &grads, ledger)?;
            gradients.insert(loss, opt::gradients_of(vars, &mut grads));
        }
        Ok(gradients)
    }

    /// What the judge is asked, and what it says.
    fn compare_answers(
        &self,
        judged: &Judged,
        x0: &Tensor,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let x0 = &x0.detach();
        self.tensor(
            "pixel_values_edit",
            &judged.pixel_values(x0)?,
            "pixel_values",
            ledger,
        )?;
        if let (name, Some(recorded)) = self.expected("temperature") {
            ledger.values(&name, &[judged.temperature], &[recorded], "timesteps");
        }
        let margins = values(&judged.ask(x0)?.margin()?)?;
        let names = ["edit", "identity"].into_iter();
        for (name, (margin, ids)) in names.zip(margins.iter().zip(judged.ids(x0)?)) {
            let output = self.out(&format!("p_yes_{name}"));
            if ledger.wants(&output) {
                let theirs = values(self.system.variant.tensor(&output)?)?;
                let ours = 1.0 / (1.0 + (-margin).exp());
                ledger.values(&output, &[ours], &theirs, "judge logits");
            }
            let output = self.out(&format!("input_ids_{name}"));
            if ledger.wants(&output) {
                let theirs = values(self.system.variant.tensor(&output)?)?;
                ledger.values(&output, &ids, &theirs, "token ids");
            }
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
        let norms = format!("param_grad_norms_{loss}");
        let recorded = &self.system.variant.cases["train"]["expected"][&self.key][&norms];
        if recorded.is_null() {
            return Ok(());
        }
        gradients.compare_norms(&self.expected(&norms).0, recorded, ledger)
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
        let ours = if ours.rank() == 4 && name != self.out("pixel_values_edit") {
            ours.unsqueeze(2)?
        } else {
            ours.clone()
        };
        ledger.tensor(&name, &ours, family)
    }
}

/// Two updates of all parameters: the first case's total, then the removal's, enlarged.
fn compare_updates(
    system: &System,
    totals: &BTreeMap<&str, opt::Gradients>,
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let train = &system.variant.cases["train"];
    let (Some(first), Some(second)) = (totals.get("main"), totals.get("remove")) else {
        return Err("the updates need the cases main and remove".into());
    };
    let scale = train["second_grad_scale"].as_f64().ok_or("no scale")?;
    let second = scaled(second, scale)?;
    for (name, grad) in &second {
        let output = format!("out.train.opt.g2.{name}");
        if ledger.wants(&output) {
            ledger.tensor(&output, grad, "gradients")?;
        }
    }
    let (_, vars) = full(system, student_weights(system)?)?;
    let recorded = Recorded {
        out: "out.train.opt".into(),
        expected: (
            "train.adamw_full.expected".into(),
            &train["expected"]["adamw_full"],
        ),
    };
    recorded.compare(system, &vars, [first.clone(), second], ledger)
}

/// The editor with low-rank branches: the same first case, and two updates of the branches.
fn compare_adapted(system: &System, judge: &Judge, ledger: &mut Ledger) -> Result<(), Failure> {
    let train = &system.variant.cases["train"];
    let adapter = Adapter::read(system, text(&train["lora"], "student")?)?;
    let (generator, vars) = adapter.beside(&system.bundle.generator.0)?;
    let pass = Pass {
        system,
        judge,
        case: &train["cases"]["main"],
        inputs: "in.train.main".into(),
        out: "out.train.lora".into(),
        key: "lora".into(),
    };
    let gradients = pass.compare(&generator, &vars, ledger)?;
    let scale = train["lora_second_grad_scale"].as_f64().ok_or("no scale")?;
    let recorded = Recorded {
        out: pass.out.clone(),
        expected: ("train.lora.expected".into(), &train["expected"]["lora"]),
    };
    let second = scaled(&gradients["vlm"], scale)?;
    recorded.compare(system, &vars, [gradients["total"].clone(), second], ledger)
}

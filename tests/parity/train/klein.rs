//! What the training step does around the FLUX.2-klein transformer, whose own outputs are taken as recorded: the unrolled
//! path, distribution matching, flow matching, and the updates.
use candle_core::{Result as TensorResult, Tensor, Var};
use npedit::{
    pipelines::{noise::NoiseDraw, sampler::predict_x0, sigmas::Sigmas, velocity::VelocityModel},
    training::{
        losses::{
            dmd::{self, CleanPredictions, Normaliser},
            flow,
        },
        optimiser::{AdamW, AdamWSettings, Gradients},
        unroll::Unroll,
    },
};
use serde_json::Value;

use super::tracked::Vars;
use crate::{
    golden::Variant,
    ledger::{Failure, Ledger, values},
    system::numbers,
};

const FORWARD: &str = "latents";

pub fn compare(variant: &Variant, ledger: &mut Ledger) -> Result<(), Failure> {
    let step = Recorded {
        variant,
        train: &variant.cases["train"],
    };
    step.unrolled(ledger)?;
    step.distribution(ledger)?;
    step.fake_score(ledger)?;
    let first = step.gradients("last.grad_total")?;
    let second = step.gradients("both.grad_vlm_judge-qwen3vl")?;
    step.updates("gen", vec![first, second], ledger)?;
    step.updates("fake", vec![step.gradients("fake.grad")?], ledger)
}

struct Recorded<'a> {
    variant: &'a Variant,
    train: &'a Value,
}

/// Says what was recorded, by level.
struct Replayed {
    velocities: Vec<(f64, Tensor)>,
}

impl VelocityModel for Replayed {
    type Conditioning = ();
    type Prepared = ();

    fn prepare(&self, _: &Tensor, (): &()) -> TensorResult<()> {
        Ok(())
    }

    fn velocity(&self, _: &Tensor, sigma: &Tensor, (): &()) -> TensorResult<Tensor> {
        let level = f64::from(sigma.max(0)?.to_scalar::<f32>()?);
        let velocity = self.velocities.iter().find(|(at, _)| *at == level);
        velocity
            .map(|(_, velocity)| velocity.clone())
            .ok_or_else(|| candle_core::Error::Msg(format!("no velocity is recorded at {level}")))
    }
}

impl Recorded<'_> {
    fn number(&self, key: &str) -> Result<f64, Failure> {
        Ok(self.train[key]
            .as_f64()
            .ok_or(format!("train has no {key}"))?)
    }

    /// Tokens `[1, N, C]` as latents `[1, C, N, 1]`.
    fn latents(&self, name: &str) -> Result<Tensor, Failure> {
        let tokens = self.variant.tensor(name)?;
        Ok(tokens.transpose(1, 2)?.unsqueeze(3)?.contiguous()?)
    }

    fn out(&self, name: &str) -> Result<Tensor, Failure> {
        self.latents(&format!("out.train.{name}"))
    }

    /// Compares latents with the recorded tokens.
    fn tokens(&self, name: &str, ours: &Tensor, ledger: &mut Ledger) -> Result<(), Failure> {
        let tokens = ours.squeeze(3)?.transpose(1, 2)?.contiguous()?;
        ledger.tensor(&format!("out.train.{name}"), &tokens, FORWARD)
    }

    /// The same in both modes.
    fn loss(&self, name: &str, ours: &Tensor, ledger: &mut Ledger) -> Result<(), Failure> {
        for mode in ["last", "both"] {
            let key = format!("{mode}.loss_{name}");
            let recorded = self.train["expected"][&key]
                .as_f64()
                .ok_or(format!("no {key}"))?;
            let key = format!("train.{key}.expected");
            if ledger.wants(&key) {
                ledger.values(&key, &values(ours)?, &[recorded], FORWARD);
            }
        }
        Ok(())
    }

    fn unrolled(&self, ledger: &mut Ledger) -> Result<(), Failure> {
        let levels = [self.number("t1")?, self.number("t2")?];
        let (v1, v2) = (self.out("fwd.v1")?, self.out("fwd.v2")?);
        let initial = self.latents("in.train.z1")?;
        let unroll = Unroll {
            sigmas: Sigmas::from_levels(&levels)?,
            noise: NoiseDraw {
                // the last step ends at x0 and uses none
                steps: vec![self.latents("in.train.eps2")?, initial.clone()],
                initial: initial.clone(),
            },
        };
        let model = Replayed {
            velocities: vec![(levels[0], v1.clone()), (levels[1], v2)],
        };
        let mut between = Vec::new();
        let x0 = unroll.run(&model, &(), &mut |step| between.push(step.latents.clone()))?;
        self.tokens("fwd.x0_1", &predict_x0(&initial, &v1, levels[0])?, ledger)?;
        self.tokens("fwd.z2", &between[0], ledger)?;
        self.tokens("fwd.x0", &x0, ledger)
    }

    fn distribution(&self, ledger: &mut Ledger) -> Result<(), Failure> {
        let (x0, level) = (self.out("fwd.x0")?, self.number("t_dmd")?);
        let sigma = Tensor::new(&[level as f32], x0.device())?;
        let noisy = flow::noised(&x0, &self.latents("in.train.eps_dmd")?, &sigma)?;
        self.tokens("dmd.x_t", &noisy, ledger)?;
        let velocity = |name: &str| self.out(&format!("dmd.{name}"));
        let (negative, fake) = (velocity("v_uncond")?, velocity("v_fake")?);
        let guided = ((velocity("v_cond")? - &negative)? * self.number("guidance")?)?;
        let real = (negative + guided)?;
        self.tokens("dmd.v_real", &real, ledger)?;
        let predictions = CleanPredictions {
            real: predict_x0(&noisy, &real, level)?,
            fake: predict_x0(&noisy, &fake, level)?,
        };
        self.tokens("dmd.x0_real", &predictions.real, ledger)?;
        self.tokens("dmd.x0_fake", &predictions.fake, ledger)?;
        let size = (&x0 - &predictions.real)?.abs()?.mean_keepdim((1, 2, 3))?;
        self.tokens("dmd.normalizer", &size, ledger)?;
        let direction = dmd::direction(&x0, &predictions, Normaliser::PerSample)?;
        self.tokens("dmd.grad", &direction, ledger)?;
        let leaf = Var::from_tensor(&x0)?;
        let loss = dmd::loss(leaf.as_tensor(), &direction)?;
        self.loss("dmd", &loss, ledger)?;
        let grads = loss.backward()?;
        let grad = grads.get(&leaf).ok_or("x0 has no gradient")?;
        self.tokens("dx0_dmd", grad, ledger)?;
        let judged = (self.out("dx0_vlm_judge-qwen3vl")? * self.number("w_vlm")?)?;
        let total = (judged + (grad * self.number("w_dmd")?)?)?;
        self.tokens("dx0_total", &total, ledger)
    }

    fn fake_score(&self, ledger: &mut Ledger) -> Result<(), Failure> {
        let (x0, noise) = (self.out("fwd.x0")?, self.latents("in.train.eps_fake")?);
        let sigma = Tensor::new(&[self.number("t_fake")? as f32], x0.device())?;
        self.tokens("fake.x_t", &flow::noised(&x0, &noise, &sigma)?, ledger)?;
        self.tokens("fake.target", &(&noise - &x0)?, ledger)?;
        let loss = flow::losses(&self.out("fake.v_fake")?, &x0, &noise)?.mean_all()?;
        ledger.tensor("out.train.fake.loss", &loss, FORWARD)?;
        let recorded = self.train["expected"]["loss_fake"]
            .as_f64()
            .ok_or("no loss_fake")?;
        if ledger.wants("train.loss_fake.expected") {
            ledger.values(
                "train.loss_fake.expected",
                &values(&loss)?,
                &[recorded],
                FORWARD,
            );
        }
        Ok(())
    }

    /// Recorded gradients `out.train.PREFIX.KEY`.
    fn gradients(&self, prefix: &str) -> Result<Gradients, Failure> {
        let prefix = format!("out.train.{prefix}.");
        let names: Vec<String> = self.variant.outputs().iter().cloned().collect();
        let found = names
            .iter()
            .filter_map(|name| Some((name.strip_prefix(&prefix)?, name)));
        let gradients =
            found.map(|(key, name)| Ok((key.to_owned(), self.variant.tensor(name)?.clone())));
        gradients.collect()
    }

    /// The adapter's parameters after one update for each of `steps`.
    fn updates(
        &self,
        part: &str,
        steps: Vec<Gradients>,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let file = match part {
            "gen" => "adapter",
            _ => "fake_adapter",
        };
        let path = self.train[file]
            .as_str()
            .ok_or(format!("train names no {file}"))?;
        let tensors =
            candle_core::safetensors::load(self.variant.dir.join(path), &candle_core::Device::Cpu)?;
        let vars: Result<Vars, Failure> = tensors
            .into_iter()
            .map(|(name, tensor)| Ok((name, Var::from_tensor(&tensor)?)))
            .collect();
        let vars = vars?;
        let recipe = &self.train["optimizer"];
        let number = |key: &str| recipe[key].as_f64().ok_or(format!("no optimizer.{key}"));
        let betas = numbers(&recipe["betas"]);
        let mut optimiser = AdamW::new(AdamWSettings {
            learning_rate: number("lr")?,
            betas: [betas[0], betas[1]],
            eps: number("eps")?,
            weight_decay: number("weight_decay")?,
        });
        for (index, gradients) in steps.iter().enumerate() {
            optimiser.update(&vars, gradients)?;
            for (name, var) in &vars {
                let output = format!("out.train.{part}.after_adamw{}.{name}", index + 1);
                if !ledger.wants(&output) {
                    continue;
                }
                let theirs = values(self.variant.tensor(&output)?)?;
                let sizes = values(&gradients[name])?;
                ledger.values_where(
                    &output,
                    (&values(var.as_tensor())?, &theirs),
                    &sizes,
                    "after_adamw1",
                );
            }
        }
        Ok(())
    }
}

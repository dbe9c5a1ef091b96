//! Parameters after one and two steps of the optimiser.
use candle_core::Tensor;
use npedit::training::optimiser::{AdamW, AdamWSettings, Gradients, clip_global_norm};
use serde_json::Value;

use super::tracked::Vars;
use crate::{
    ledger::{Failure, Ledger, values},
    system::{System, numbers},
};

/// Where a pair of updates is recorded.
pub struct Recorded<'a> {
    /// Such as `out.train.opt`.
    pub out: String,
    /// Such as `train.adamw_full.expected`, with its values.
    pub expected: (String, &'a Value),
}

impl Recorded<'_> {
    /// Two updates of `vars`, by `first` and then by `second`, clipped as recorded.
    pub fn compare(
        &self,
        system: &System,
        vars: &Vars,
        gradients: [Gradients; 2],
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let recipe = &system.variant.cases["train"]["optimizer"];
        let number = |key: &str| recipe[key].as_f64().ok_or(format!("no optimizer.{key}"));
        let betas = numbers(&recipe["betas"]);
        let mut optimiser = AdamW::new(AdamWSettings {
            learning_rate: number("lr")?,
            betas: [betas[0], betas[1]],
            eps: number("eps")?,
            weight_decay: number("weight_decay")?,
        });
        let most = number("clip_norm")?;
        for (step, mut gradients) in gradients.into_iter().enumerate() {
            let step = step + 1;
            let norm = clip_global_norm(&mut gradients, most)?;
            self.number(&format!("norm{step}"), norm, "gradients", ledger);
            let clipped = f64::from(u8::from(norm > most));
            self.number(&format!("clipped{step}"), clipped, "token ids", ledger);
            optimiser.update(vars, &gradients)?;
            for (name, var) in vars {
                let output = format!("{}.after{step}.{name}", self.out);
                if !ledger.wants(&output) {
                    continue;
                }
                let theirs = values(system.variant.tensor(&output)?)?;
                let sizes = values(&gradients[name])?;
                let ours = values(var.as_tensor())?;
                ledger.values_where(&output, (&ours, &theirs), &sizes, &format!("after{step}"));
            }
        }
        Ok(())
    }

    fn number(&self, key: &str, ours: f64, family: &str, ledger: &mut Ledger) {
        let (path, recorded) = &self.expected;
        let recorded = match &recorded[key] {
            Value::Bool(flag) => f64::from(u8::from(*flag)),
            other => match other.as_f64() {
                Some(number) => number,
                None => return,
            },
        };
        ledger.values(&format!("{path}.{key}"), &[ours], &[recorded], family);
    }
}

/// Every gradient times `factor`.
pub fn scaled(gradients: &Gradients, factor: f64) -> Result<Gradients, Failure> {
    let scale = |(name, grad): (&String, &Tensor)| Ok((name.clone(), grad.affine(factor, 0.0)?));
    gradients.iter().map(scale).collect()
}

//! The terms of the generator's loss, and their recorded sums.
use candle_core::Tensor;
use npedit::training::losses::dmd;
use serde_json::Value;

use super::{dmd::Dmd, judged::Judged};
use crate::ledger::Failure;

/// Everything that the terms of one case are computed from.
pub struct Losses<'a> {
    /// `dmd`, `vlm` and `mse`.
    pub weights: &'a Value,
    pub dmd: Dmd,
    pub judged: Judged<'a>,
    /// Reference latents of a case that is to change nothing.
    pub identity: Option<Tensor>,
}

impl Losses<'_> {
    /// The term or sum that the reference calls `name`.
    pub fn value(&self, name: &str, x0: &Tensor) -> Result<Tensor, Failure> {
        let weight = |key: &str| self.weights[key].as_f64().ok_or(format!("no weight {key}"));
        let sum = |dmd: &str| -> Result<Tensor, Failure> {
            let matched = (self.value(dmd, x0)? * weight("dmd")?)?;
            let judged = (self.value("vlm", x0)? * weight("vlm")?)?;
            let unchanged = (self.value("mse", x0)? * weight("mse")?)?;
            Ok(((matched + judged)? + unchanged)?)
        };
        match name {
            "dmd_pp" => Ok(dmd::loss(x0, &self.dmd.per_pixel)?),
            "dmd_ps" => Ok(dmd::loss(x0, &self.dmd.per_sample)?),
            "vlm" => self.judged.loss(x0),
            "total" => sum("dmd_pp"),
            "total_ps" => sum("dmd_ps"),
            _ => match &self.identity {
                Some(reference) => Ok((x0 - reference)?.sqr()?.mean_all()?),
                None => Ok(Tensor::zeros((), x0.dtype(), x0.device())?),
            },
        }
    }
}

//! Schedules and what the noise levels become inside the transformer.
use candle_core::{DType, Tensor};
use npedit::{models::zimage::model_time, pipelines::sigmas::Sigmas};

use crate::{
    ledger::{Failure, Ledger, values},
    system::System,
};

const FAMILY: &str = "schedules";

pub fn compare(system: &System, ledger: &mut Ledger) -> Result<(), Failure> {
    for output in system.variant.outputs() {
        let Some(name) = output.strip_prefix("out.schedule.") else {
            continue;
        };
        let theirs = values(system.variant.tensor(&output)?)?;
        let ours = match name {
            "fp32_t_scaled" => times(system, DType::F32)?,
            "gpu_bf16_t_scaled" => times(system, DType::BF16)?,
            "logit_normal_weight_at" => [0.02, 0.25, 0.5, 0.9, 0.98]
                .map(npedit::training::losses::flow::logit_normal)
                .to_vec(),
            warp => {
                let (shift, steps) =
                    warp_of(warp).ok_or_else(|| format!("unknown schedule {warp}"))?;
                Sigmas::uniform(steps, shift)?.as_slice().to_vec()
            }
        };
        ledger.values(&output, &ours, &theirs, FAMILY);
    }
    Ok(())
}

/// `warp_shift6_linspace4`: shift and steps.
fn warp_of(name: &str) -> Option<(f64, usize)> {
    let (shift, steps) = name.strip_prefix("warp_shift")?.split_once("_linspace")?;
    Some((shift.parse().ok()?, steps.parse().ok()?))
}

/// The released levels as they enter the sinusoids.
fn times(system: &System, dtype: DType) -> Result<Vec<f64>, Failure> {
    let levels: Vec<f32> = system
        .bundle
        .settings
        .sigmas
        .iter()
        .map(|sigma| *sigma as f32)
        .collect();
    let sigmas = Tensor::new(levels, &system.compute.device)?;
    let scale = system.teacher.config().t_scale;
    Ok(values(&model_time(&sigmas, scale, dtype)?)?)
}

#[test]
fn a_schedule_is_read_from_its_name() {
    assert_eq!(warp_of("warp_shift6_linspace4"), Some((6.0, 4)));
    assert_eq!(warp_of("warp_shift1.5_linspace10"), Some((1.5, 10)));
    assert_eq!(warp_of("other"), None);
}

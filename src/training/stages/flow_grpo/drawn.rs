//! What the generator made of a pass: kept until the last update of its batch.
use candle_core::Tensor;

use crate::training::checkpoint::{CheckpointError, State};

/// The paths of one pass.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    /// At every level but 0, `[B, C, h, w]` each.
    pub latents: Vec<Tensor>,
    /// Of every draw when it was made, `[B]` each: one less than there are latents.
    pub log_probs: Vec<Tensor>,
    /// One a sample.
    pub advantages: Vec<f64>,
}

const PREFIX: &str = "flow_grpo";
const LATENTS: &str = "latents";
const LOG_PROBS: &str = "log_probs";

impl Drawn {
    pub(super) fn save(all: &[Self], state: &mut State) {
        state
            .facts
            .insert(format!("{PREFIX}.passes"), all.len().to_string());
        for (pass, drawn) in all.iter().enumerate() {
            let count = drawn.latents.len().to_string();
            state
                .facts
                .insert(format!("{PREFIX}.{pass}.latents"), count);
            for (name, tensors) in drawn.lists() {
                for (at, tensor) in tensors.iter().enumerate() {
                    let key = format!("{PREFIX}.{pass}.{name}.{at}");
                    state.tensors.insert(key, tensor.clone());
                }
            }
            for (at, advantage) in drawn.advantages.iter().enumerate() {
                let key = format!("{PREFIX}.{pass}.advantage.{at}");
                state.facts.insert(key, advantage.to_bits().to_string());
            }
        }
    }

    pub(super) fn restore(state: &State) -> Result<Vec<Self>, CheckpointError> {
        (0..state.number(&format!("{PREFIX}.passes"))?)
            .map(|pass| {
                let count = state.number(&format!("{PREFIX}.{pass}.latents"))?;
                let list = |name: &str, count: u64| {
                    let keys = (0..count).map(|at| format!("{PREFIX}.{pass}.{name}.{at}"));
                    keys.map(|key| {
                        let kept = state.tensors.get(&key).cloned();
                        kept.ok_or(CheckpointError::Missing { name: key })
                    })
                    .collect::<Result<Vec<_>, _>>()
                };
                let latents = list(LATENTS, count)?;
                let samples = latents.first().map_or(0, |latents| latents.dims()[0]);
                let advantages = (0..samples).map(|at| {
                    let bits = state.number(&format!("{PREFIX}.{pass}.advantage.{at}"))?;
                    Ok(f64::from_bits(bits))
                });
                Ok(Self {
                    log_probs: list(LOG_PROBS, count.saturating_sub(1))?,
                    advantages: advantages.collect::<Result<_, CheckpointError>>()?,
                    latents,
                })
            })
            .collect()
    }

    fn lists(&self) -> [(&'static str, &[Tensor]); 2] {
        [(LATENTS, &self.latents), (LOG_PROBS, &self.log_probs)]
    }
}

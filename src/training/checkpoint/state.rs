//! Named tensors and numbers of a run.
use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::CheckpointError;
use crate::training::optimiser::{Moments, Muon, Optimiser, Parameters};

/// What a run is, between two steps.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub tensors: BTreeMap<String, Tensor>,
    /// Counters and hashes.
    pub facts: BTreeMap<String, String>,
}

impl State {
    /// Shares memory with the parameters: to be written before they move.
    pub fn put_parameters(&mut self, prefix: &str, parameters: &Parameters) {
        for (name, var) in parameters {
            self.tensors
                .insert(format!("{prefix}.{name}"), var.as_detached_tensor());
        }
    }

    pub fn put_optimiser(&mut self, prefix: &str, optimiser: &Optimiser) {
        self.facts.insert(
            format!("{prefix}.optimiser_step"),
            optimiser.adam().step().to_string(),
        );
        for (name, moments) in optimiser.adam().moments() {
            for (moment, tensor) in [("first", &moments.first), ("second", &moments.second)] {
                let key = format!("{prefix}.{moment}_moment.{name}");
                self.tensors.insert(key, tensor.clone());
            }
        }
        for (name, momentum) in optimiser.muon().momenta() {
            self.tensors
                .insert(format!("{prefix}.momentum.{name}"), momentum.clone());
        }
    }

    /// Tensors whose name starts with `prefix`, without it.
    fn below(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let found = self.tensors.range(prefix.to_owned()..);
        let found = found.map_while(|(key, tensor)| {
            Some((key.strip_prefix(prefix)?.to_owned(), tensor.clone()))
        });
        found.collect()
    }

    /// Sets every parameter to its kept value.
    ///
    /// # Errors
    /// One is missing or has another shape.
    pub fn restore_parameters(
        &self,
        prefix: &str,
        parameters: &Parameters,
    ) -> Result<(), CheckpointError> {
        for (name, var) in parameters {
            let kept = self.shaped(&format!("{prefix}.{name}"), var.as_tensor())?;
            var.set(&kept)?;
        }
        Ok(())
    }

    /// `fresh` after the kept number of steps.
    ///
    /// # Errors
    /// Its step is missing, or a moment without its other half.
    pub fn optimiser(&self, prefix: &str, fresh: &Optimiser) -> Result<Optimiser, CheckpointError> {
        let step = self.number(&format!("{prefix}.optimiser_step"))?;
        let mut moments = BTreeMap::new();
        for (name, first) in self.below(&format!("{prefix}.first_moment.")) {
            let second = self.shaped(&format!("{prefix}.second_moment.{name}"), &first)?;
            moments.insert(name, Moments { first, second });
        }
        let muon = Muon::resume(self.below(&format!("{prefix}.momentum.")));
        Ok(fresh.resumed(fresh.adam().resumed(step, moments), muon))
    }

    /// # Errors
    /// There is no such number.
    pub fn number(&self, name: &str) -> Result<u64, CheckpointError> {
        let number = self.facts.get(name).and_then(|text| text.parse().ok());
        number.ok_or_else(|| CheckpointError::Missing { name: name.into() })
    }

    /// The same on `device`.
    ///
    /// # Errors
    /// The device has no room.
    pub fn to_device(&self, device: &Device) -> Result<Self, CheckpointError> {
        let moved = self.tensors.iter();
        let moved = moved.map(|(name, tensor)| Ok((name.clone(), tensor.to_device(device)?)));
        Ok(Self {
            tensors: moved.collect::<Result<_, CheckpointError>>()?,
            facts: self.facts.clone(),
        })
    }

    fn shaped(&self, name: &str, like: &Tensor) -> Result<Tensor, CheckpointError> {
        let Some(kept) = self.tensors.get(name) else {
            return Err(CheckpointError::Missing { name: name.into() });
        };
        if kept.dims() != like.dims() {
            return Err(CheckpointError::Shape {
                name: name.into(),
                found: kept.dims().to_vec(),
                expected: like.dims().to_vec(),
            });
        }
        Ok(kept.to_device(like.device())?.to_dtype(like.dtype())?)
    }
}

//! An adapter where a model computes.
use std::collections::BTreeMap;

use candle_core::Tensor;

use super::{Adapter, AdapterError, AdapterId, Pair, Scaling};
use crate::nn::{Compute, Lora};

/// An adapter on a device, in the precision of its model; it stands beside the model at any strength.
#[derive(Debug, Clone)]
pub struct PlacedAdapter {
    id: AdapterId,
    scaling: Scaling,
    pairs: BTreeMap<String, Pair>,
}

impl Adapter {
    /// # Errors
    /// The device refuses.
    pub fn placed(&self, compute: &Compute) -> Result<PlacedAdapter, AdapterError> {
        let pairs = self.pairs().iter().map(|(module, pair)| {
            let placed = pair.placed(compute);
            let placed = placed.map_err(|source| AdapterError::Tensor {
                module: module.clone(),
                source,
            })?;
            Ok((module.clone(), placed))
        });
        Ok(PlacedAdapter {
            id: self.id().clone(),
            scaling: self.config().scaling,
            pairs: pairs.collect::<Result<_, AdapterError>>()?,
        })
    }
}

impl PlacedAdapter {
    /// That of the adapter as it was trained.
    pub fn id(&self) -> &AdapterId {
        &self.id
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        let size = |x: &Tensor| x.elem_count() * x.dtype().size_in_bytes();
        let pairs = self.pairs.values();
        pairs.map(|pair| size(&pair.a) + size(&pair.b)).sum()
    }

    /// The branches, `factor` times as strong as they were trained: those of [`Adapter::scaled`], with the same tensors.
    ///
    /// # Errors
    /// A factor that leaves no branch or an infinite one.
    pub fn branches(&self, factor: f64) -> Result<BTreeMap<String, Lora>, AdapterError> {
        let pairs = self.pairs.iter();
        let branches = pairs
            .map(|(module, pair)| Ok((module.clone(), pair.scaled(factor)?.branch(self.scaling))));
        branches.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::sample::small;

    #[test]
    fn a_strength_is_the_scaled_adapters_and_takes_no_memory() {
        let compute = Compute::cpu();
        let placed = small().placed(&compute).unwrap();
        assert_eq!(placed.bytes(), 4 * small().parameters());
        for factor in [1.0, 0.3, -2.0] {
            let here = placed.branches(factor).unwrap();
            let scaled = small().scaled(factor).unwrap().branches(&compute).unwrap();
            assert_eq!(here.len(), scaled.len());
            for ((module, here), (other, scaled)) in here.iter().zip(&scaled) {
                assert_eq!((module, here.scale), (other, scaled.scale));
            }
        }
        for factor in [0.0, f64::NAN, f64::INFINITY, 1e-300] {
            assert!(matches!(
                placed.branches(factor),
                Err(AdapterError::Factor { .. })
            ));
        }
    }
}

//! Low-rank branches for the transformer's linear layers.
use std::{cell::RefCell, collections::BTreeMap};

use crate::{
    models::error::{LoadError, LoadResult},
    nn::{Linear, Lora},
};

/// Branches by module name, such as `layers.0.attention.to_q`.
#[derive(Clone, Debug, Default)]
pub struct LoraWeights {
    branches: BTreeMap<String, Lora>,
    /// Every module that asked for its branch, with its `[out, in]`.
    asked: RefCell<BTreeMap<String, [usize; 2]>>,
}

impl LoraWeights {
    pub fn new(branches: BTreeMap<String, Lora>) -> Self {
        Self {
            branches,
            asked: RefCell::default(),
        }
    }

    /// `linear` with the branch of `module`, or as it is.
    pub(super) fn on(&self, module: &str, linear: &Linear) -> Linear {
        self.asked
            .borrow_mut()
            .insert(module.into(), linear.shape());
        match self.branches.get(module) {
            Some(lora) => linear.with_lora(lora.clone()),
            None => linear.clone(),
        }
    }

    /// Who asked since the last call.
    pub(super) fn shapes(&self) -> BTreeMap<String, [usize; 2]> {
        self.asked.take()
    }

    /// # Errors
    /// A branch whose module never asked for it, or has another shape.
    pub(super) fn finish(&self) -> LoadResult<()> {
        let shapes = self.shapes();
        for (module, lora) in &self.branches {
            let Some(&[output, input]) = shapes.get(module) else {
                return Err(LoadError::UnknownModule {
                    module: module.clone(),
                });
            };
            let (a, b) = (lora.a.dims(), lora.b.dims());
            let fits = matches!((a, b), (&[rank, from], &[to, same])
                if rank == same && from == input && to == output);
            if !fits {
                return Err(LoadError::BranchShape {
                    module: module.clone(),
                    a: a.to_vec(),
                    b: b.to_vec(),
                    weight: [output, input],
                });
            }
        }
        Ok(())
    }
}

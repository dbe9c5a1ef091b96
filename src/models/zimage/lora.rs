//! Low-rank branches for the transformer's linear layers.
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    models::error::{LoadError, LoadResult},
    nn::{Linear, Lora},
};

/// Branches by module name, such as `layers.0.attention.to_q`.
#[derive(Clone, Debug, Default)]
pub struct LoraWeights {
    branches: BTreeMap<String, Lora>,
    used: RefCell<BTreeSet<String>>,
    /// Every module that was asked for, with the shape of its weight `[out, in]`.
    asked: RefCell<BTreeMap<String, [usize; 2]>>,
}

impl LoraWeights {
    pub fn new(branches: BTreeMap<String, Lora>) -> Self {
        Self {
            branches,
            ..Self::default()
        }
    }

    /// `linear` with the branch of `module`, or as it is.
    pub(super) fn on(&self, module: &str, linear: &Linear) -> Linear {
        self.asked
            .borrow_mut()
            .insert(module.into(), linear.shape());
        match self.branches.get(module) {
            Some(lora) => {
                self.used.borrow_mut().insert(module.into());
                linear.with_lora(lora.clone())
            }
            None => linear.clone(),
        }
    }

    pub(super) fn into_asked(self) -> BTreeMap<String, [usize; 2]> {
        self.asked.into_inner()
    }

    /// # Errors
    /// A branch whose module was never asked for.
    pub(super) fn finish(&self) -> LoadResult<()> {
        let used = self.used.borrow();
        match self.branches.keys().find(|module| !used.contains(*module)) {
            None => Ok(()),
            Some(module) => Err(LoadError::UnknownModule {
                module: module.clone(),
            }),
        }
    }
}

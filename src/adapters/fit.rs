//! Whether an adapter belongs to a model.
use std::collections::BTreeMap;

use super::{Adapter, AdapterError};
use crate::config::nearest;

impl Adapter {
    /// `shapes`: `[out, in]` of every linear layer of the model that takes a branch, by module.
    ///
    /// # Errors
    /// A module that the model does not have, or has in another shape.
    pub fn check_shapes(&self, shapes: &BTreeMap<String, [usize; 2]>) -> Result<(), AdapterError> {
        for (module, pair) in self.pairs() {
            let Some(base) = shapes.get(module) else {
                return Err(AdapterError::UnknownModule {
                    module: module.clone(),
                    nearest: nearest(shapes.keys(), module).map(Into::into),
                });
            };
            if pair.shape() != *base {
                return Err(AdapterError::Shape {
                    module: module.clone(),
                    adapter: pair.shape(),
                    base: *base,
                });
            }
        }
        Ok(())
    }

    /// An adapter that does not say what it was trained on passes.
    ///
    /// # Errors
    /// It was trained on another transformer than the one of hash `base`.
    pub fn check_base(&self, base: &str) -> Result<(), AdapterError> {
        match &self.config().base {
            Some(adapter) if adapter != base => Err(AdapterError::Base {
                adapter: adapter.clone(),
                base: base.into(),
            }),
            _ => Ok(()),
        }
    }
}

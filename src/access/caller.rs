//! Who sent a request.
use std::sync::Arc;

use super::{AccessError, Scope, Slot, Viewer};

/// What a key is for; `admin` is for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    pub fn new(mut scopes: Vec<Scope>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Where there are no keys, and so nobody else.
    pub fn alone() -> Self {
        Self::new(vec![Scope::Admin])
    }

    /// Of requests without a key where others are: everything but what is of other owners.
    pub fn anonymous() -> Self {
        Self::new(vec![Scope::Edit, Scope::Score, Scope::Finetune])
    }

    /// Names separated by spaces; unknown ones, of a later version, grant nothing.
    pub(super) fn of_text(text: &str) -> Self {
        Self::new(text.split(' ').filter_map(Scope::of_name).collect())
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|scope| scope.name()).collect()
    }

    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }
}

/// Whoever sent a request; lives until it is answered, or longer where work goes on after the answer.
#[derive(Clone, Debug)]
pub struct Caller {
    pub viewer: Viewer,
    scopes: Scopes,
    /// Its place among the requests of its owner that run.
    slot: Option<Arc<Slot>>,
}

impl Caller {
    pub(super) fn new(owner: &str, scopes: Scopes) -> Self {
        let viewer = match scopes.allow(Scope::Admin) {
            true => Viewer::admin(owner),
            false => Viewer::owner(owner),
        };
        Self {
            viewer,
            scopes,
            slot: None,
        }
    }

    pub(super) fn with(self, slot: Option<Slot>) -> Self {
        Self {
            slot: slot.map(Arc::new),
            ..self
        }
    }

    /// # Errors
    /// [`AccessError::Scope`].
    pub fn needs(&self, scope: Scope) -> Result<(), AccessError> {
        match self.scopes.allow(scope) {
            true => Ok(()),
            false => Err(AccessError::Scope { scope }),
        }
    }

    /// Whether it counts among the requests that run.
    pub fn is_counted(&self) -> bool {
        self.slot.is_some()
    }
}

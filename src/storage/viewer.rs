//! Whose rows a request sees.
use std::sync::Arc;

/// Owner of what is made without a key.
pub const ANONYMOUS: &str = "anonymous";
/// Owner of what is built in: everyone sees it.
pub const EVERYONE: &str = "";

/// Sees its own rows and those of everyone; an admin sees all, its own before others of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    owner: Arc<str>,
    admin: bool,
}

impl Default for Viewer {
    fn default() -> Self {
        Self::owner(ANONYMOUS)
    }
}

impl Viewer {
    pub fn owner(owner: &str) -> Self {
        Self {
            owner: owner.into(),
            admin: false,
        }
    }

    pub fn admin(owner: &str) -> Self {
        Self {
            owner: owner.into(),
            admin: true,
        }
    }

    /// Who owns what the viewer makes.
    pub fn name(&self) -> &str {
        &self.owner
    }

    pub fn is_admin(&self) -> bool {
        self.admin
    }

    /// Whether a row of `owner` is there for the viewer.
    pub fn sees(&self, owner: &str) -> bool {
        self.admin || *self.owner == *owner || owner == EVERYONE
    }

    /// Whether the viewer may change or delete a row of `owner`.
    pub fn changes(&self, owner: &str) -> bool {
        self.admin || *self.owner == *owner
    }

    /// As queries bind it: 1 for an admin.
    pub fn sees_all(&self) -> i64 {
        self.admin.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_sees_its_own_and_what_is_for_everyone() {
        let (mine, admin) = (Viewer::owner("a"), Viewer::admin("root"));
        for (owner, sees, changes) in [
            ("a", true, true),
            ("b", false, false),
            (EVERYONE, true, false),
        ] {
            assert_eq!(
                (mine.sees(owner), mine.changes(owner)),
                (sees, changes),
                "{owner:?}"
            );
            assert!(admin.sees(owner) && admin.changes(owner));
        }
    }
}

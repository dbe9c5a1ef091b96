//! What a request needs to be let in, by its route.
use crate::access::Scope;

/// What a route asks of whoever calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Probes, and what is the same for all.
    Nothing,
    /// [`Scope::Admin`], or nothing where only this machine reaches the service.
    LocalOrAdmin,
    /// Any key.
    Key,
    Scope(Scope),
}

impl Needs {
    /// The scope that a key must have; none where any key will do.
    pub fn scope(self) -> Option<Scope> {
        match self {
            Self::Nothing | Self::Key => None,
            Self::LocalOrAdmin => Some(Scope::Admin),
            Self::Scope(scope) => Some(scope),
        }
    }
}

/// By what a path begins with; the first line that fits decides. `/` is that path alone.
const TABLE: &[(&str, Needs)] = &[
    ("/", Needs::Nothing),
    ("/playground/", Needs::Nothing),
    ("/docs", Needs::Nothing),
    ("/health/", Needs::Nothing),
    ("/openapi.json", Needs::Nothing),
    ("/metrics", Needs::LocalOrAdmin),
    ("/v1/models", Needs::Key),
    ("/v1/edit", Needs::Scope(Scope::Edit)),
    ("/v1/images/", Needs::Scope(Scope::Edit)),
    ("/v1/score", Needs::Scope(Scope::Score)),
    ("/v1/datasets", Needs::Scope(Scope::Finetune)),
    ("/v1/captured", Needs::Scope(Scope::Finetune)),
    ("/v1/recipes", Needs::Scope(Scope::Finetune)),
    ("/v1/finetune", Needs::Scope(Scope::Finetune)),
    ("/v1/adapters", Needs::Scope(Scope::Finetune)),
];

/// What the route of that pattern needs. One that the table forgot is for admins, until somebody decides.
pub fn needs(route: &str) -> Needs {
    let fits = |start: &str| route == start || start != "/" && route.starts_with(start);
    let line = TABLE.iter().find(|(start, _)| fits(start));
    line.map_or(Needs::Scope(Scope::Admin), |(_, needs)| *needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_table() {
        let document = crate::http::document();
        for path in document.paths.paths.keys() {
            assert_ne!(
                needs(path),
                Needs::Scope(Scope::Admin),
                "{path} has no line"
            );
        }
        assert_eq!(needs("/"), Needs::Nothing);
        assert_eq!(needs("/v2/anything"), Needs::Scope(Scope::Admin));
    }
}

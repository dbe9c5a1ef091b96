//! Who may use the service: keys in the settings, and what bounds every key.
use super::{reader::Reader, values::Choice};

/// Longest name of a key, in bytes.
const MAX_NAME: usize = 64;
/// Owner of what is made without a key: no key has that name.
const RESERVED: &str = "anonymous";
const FORM: &str = "must be entries NAME:SCOPE+SCOPE:SHA256 separated by commas: a name of a-z, 0-9, '.', '_' and '-', scopes of edit, score, finetune and admin, and the SHA-256 of the key in hexadecimal";

#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// Whether requests without a key are taken where there are keys, or beyond loopback.
    pub allow_anonymous: bool,
    pub keys: Vec<ConfiguredKey>,
    /// Of one key; 0 sets no limit.
    pub requests_per_minute: u32,
    /// Of one key, those that only read not counted; 0 sets no limit.
    pub max_concurrent: usize,
}

/// A key whose hash stands in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredKey {
    pub name: String,
    pub scopes: Vec<Scope>,
    /// Hexadecimal SHA-256 of the key.
    pub sha256: String,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Edit,
    Score,
    /// Sets, jobs and kept adapters.
    Finetune,
    /// Everything, of every owner.
    Admin,
}

impl Choice for Scope {
    const ALL: &'static [(&'static str, Self)] = &[
        ("edit", Self::Edit),
        ("score", Self::Score),
        ("finetune", Self::Finetune),
        ("admin", Self::Admin),
    ];
}

impl Scope {
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(_, scope)| *scope == self)
            .map_or("", |(name, _)| name)
    }

    pub fn of_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, scope)| *scope)
    }
}

/// Whether a key may be called that.
pub fn is_key_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(plain);
    let rest = bytes.all(|byte| plain(byte) || b"._-".contains(&byte));
    first && rest && name.len() <= MAX_NAME && name != RESERVED
}

pub(super) fn auth(read: &mut Reader) -> Auth {
    Auth {
        allow_anonymous: read.boolean("auth.allow_anonymous"),
        keys: keys(read),
        requests_per_minute: read.integer("auth.requests_per_minute", 0..=1_000_000),
        max_concurrent: read.integer("auth.max_concurrent", 0..=100_000),
    }
}

fn keys(read: &mut Reader) -> Vec<ConfiguredKey> {
    let text = read.text("auth.keys").to_owned();
    let entries = text
        .split([',', ' ', '\n'])
        .filter(|entry| !entry.is_empty());
    let keys: Option<Vec<_>> = entries.map(key).collect();
    keys.unwrap_or_else(|| {
        // Whoever wrote a key where its hash belongs must not find it in a log.
        read.silent_issue("auth.keys", FORM);
        Vec::new()
    })
}

fn key(entry: &str) -> Option<ConfiguredKey> {
    let mut parts = entry.split(':');
    let (name, scopes, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let scopes: Option<Vec<_>> = scopes.split('+').map(Scope::of_name).collect();
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (parts.next().is_none() && is_key_name(name) && is_hash).then_some(ConfiguredKey {
        name: name.to_owned(),
        scopes: scopes?,
        sha256: hash.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_names_scopes_and_hashes() {
        let hash = "AB".repeat(32);
        let read = key(&format!("ci:edit+score:{hash}")).unwrap();
        assert_eq!(read.scopes, [Scope::Edit, Scope::Score]);
        assert_eq!((&*read.name, read.sha256), ("ci", "ab".repeat(32)));
        for bad in [
            format!("ci:edit:{hash}0"),
            format!("ci:fly:{hash}"),
            format!("ci::{hash}"),
            format!("CI:edit:{hash}"),
            format!("anonymous:edit:{hash}"),
            format!(":edit:{hash}"),
            format!("ci:edit:{hash}:x"),
            "npe_secret".to_owned(),
        ] {
            assert_eq!(key(&bad), None, "{bad}");
        }
    }
}

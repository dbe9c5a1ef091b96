//! The part of a key that only its holder knows.
use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// What every key begins with, so that people and scanners know one when they see it.
const MARK: &str = "npe_";
const RANDOM_BYTES: usize = 32;
/// Characters that a list may show: they leave 216 bits unknown.
const SHOWN: usize = MARK.len() + 6;

/// A key as it is sent. Neither a log nor a message gets to see it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one, from the operating system's generator.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// As a client sent it.
    pub fn sent(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The key itself, for the one time that it is shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Its first characters, to tell keys apart.
    pub fn prefix(&self) -> String {
        self.0.chars().take(SHOWN).collect()
    }

    /// Hexadecimal SHA-256.
    pub fn hash(&self) -> String {
        let hash = Sha256::digest(self.0.as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

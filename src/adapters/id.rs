//! The name of an adapter that its content gives.
use std::{collections::BTreeMap, fmt};

use candle_core::Tensor;
use safetensors::View;
use sha2::{Digest, Sha256};

use super::{Pair, Scaling};

/// Hex SHA-256 over tensors and settings: not over file layout, key prefix or base.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdapterId(String);

impl AdapterId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that a text spells: 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let spelt = text.len() == 64 && text.bytes().all(hex);
        spelt.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for AdapterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hashes modules in the order of their names; every part has a length, so no two adapters share their bytes.
pub(super) fn of(pairs: &BTreeMap<String, Pair>, scaling: Scaling) -> AdapterId {
    let mut hash = Sha256::new();
    hash.update(match scaling {
        Scaling::Standard => b"npedit adapter 1 alpha/r",
        Scaling::RankStabilised => b"npedit adapter 1 alpha/q",
    });
    for (module, pair) in pairs {
        hash.update((module.len() as u64).to_le_bytes());
        hash.update(module.as_bytes());
        hash.update((pair.alpha as f32).to_le_bytes());
        for tensor in [&pair.a, &pair.b] {
            add(&mut hash, tensor);
        }
    }
    let digest = hash.finalize();
    AdapterId(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Dtype, shape, then the elements in little endian, row by row.
fn add(hash: &mut Sha256, tensor: &Tensor) {
    let dtype = tensor.dtype().as_str();
    hash.update((dtype.len() as u64).to_le_bytes());
    hash.update(dtype.as_bytes());
    for size in tensor.dims() {
        hash.update((*size as u64).to_le_bytes());
    }
    hash.update(tensor.data());
}

//! Git object ids: what a commit says about the content of a file.
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// Hashes a file as it arrives.
pub(super) struct ContentHash {
    git: Sha1,
    sha256: Sha256,
    size: u64,
}

impl ContentHash {
    /// For a file of `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        let mut git = Sha1::new();
        git.update(format!("blob {size}\0"));
        Self {
            git,
            sha256: Sha256::new(),
            size,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.git.update(bytes);
        self.sha256.update(bytes);
    }

    /// Name of the blob in the cache if the content is that of git object `id`, stored as such
    /// or as a large file (then `id` is that of the pointer that names the content's SHA-256).
    pub(super) fn blob_name(self, id: &str) -> Option<String> {
        if hex(&self.git.finalize()) == id {
            return Some(id.to_owned());
        }
        let sha256 = hex(&self.sha256.finalize());
        let pointer = format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {}\n",
            self.size
        );
        let pointer_id = Sha1::new()
            .chain_update(format!("blob {}\0", pointer.len()))
            .chain_update(pointer);
        (hex(&pointer_id.finalize()) == id).then_some(sha256)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(content: &[u8]) -> ContentHash {
        let mut hash = ContentHash::new(content.len() as u64);
        hash.update(content);
        hash
    }

    /// Ids as `git hash-object` prints them.
    #[test]
    fn ids_are_those_of_git() {
        let plain = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(hash(b"hello\n").blob_name(plain).as_deref(), Some(plain));
        let pointer = "fa61e1ef71c9908c0926776a4aa3504b3a27f159";
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(hash(b"hello\n").blob_name(pointer).as_deref(), Some(sha256));
        assert_eq!(hash(b"hello!").blob_name(plain), None);
        assert_eq!(hash(b"hello!").blob_name(pointer), None);
    }
}

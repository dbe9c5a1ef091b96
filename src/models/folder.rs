//! One model's directory inside a bundle, or on its own.
use std::{borrow::Cow, fmt};

use serde::de::DeserializeOwned;
use tokenizers::Tokenizer;

use super::{
    error::{LoadError, LoadResult},
    files::Files,
    weights::Weights,
};

const TOKENIZER: &str = "tokenizer.json";

/// A directory in Hugging Face layout. Names inside are relative, with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    files: Files,
    /// Empty for the root.
    path: String,
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            self.files.fmt(f)
        } else {
            write!(f, "{}/{}", self.files, self.path)
        }
    }
}

impl Folder {
    /// The whole of `files`.
    pub fn root(files: Files) -> Self {
        Self::below(files, "")
    }

    /// The directory `path` of `files`.
    pub fn below(files: Files, path: &str) -> Self {
        Self {
            files,
            path: path.into(),
        }
    }

    /// `file` as the messages name it.
    pub fn name(&self, file: &str) -> String {
        if self.path.is_empty() {
            file.into()
        } else {
            format!("{}/{file}", self.path)
        }
    }

    /// The whole content of one file.
    ///
    /// # Errors
    /// The file is missing or unreadable.
    pub fn read(&self, file: &str) -> LoadResult<Cow<'static, [u8]>> {
        self.files.read(&self.name(file))
    }

    /// One JSON file.
    ///
    /// # Errors
    /// The file is missing, unreadable or not of the expected form.
    pub fn json<T: DeserializeOwned>(&self, file: &str) -> LoadResult<T> {
        serde_json::from_slice(&self.read(file)?).map_err(|source| LoadError::Json {
            file: self.name(file),
            source,
        })
    }

    pub fn exists(&self, file: &str) -> bool {
        self.files.exists(&self.name(file))
    }

    /// The model's weights: one safetensors file, or shards with an index.
    ///
    /// # Errors
    /// See [`Weights::safetensors`].
    pub fn weights(&self) -> LoadResult<Weights> {
        Weights::safetensors(&self.files, &self.path)
    }

    /// `tokenizer.json`, without the truncation and padding that it may ask for: those are the caller's matter.
    ///
    /// # Errors
    /// The file is missing or not a tokenizer.
    pub fn tokenizer(&self) -> LoadResult<Tokenizer> {
        let invalid = |error: tokenizers::Error| LoadError::Tokenizer {
            file: self.name(TOKENIZER),
            reason: error.to_string(),
        };
        let mut tokenizer = Tokenizer::from_bytes(self.read(TOKENIZER)?).map_err(invalid)?;
        tokenizer.with_truncation(None).map_err(invalid)?;
        tokenizer.with_padding(None);
        Ok(tokenizer)
    }

    /// SHA-256 in hex over the names and contents of everything that decides the model's answers; the same wherever the
    /// folder lies.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn sha256(&self) -> LoadResult<String> {
        let below = self.name("");
        self.files.sha256_of(|name| name.strip_prefix(&below))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::files::JUDGE, *};

    #[test]
    fn a_model_has_one_hash_wherever_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        for name in Files::Embedded.list().unwrap() {
            let Some(own) = name.strip_prefix(&format!("{JUDGE}/")) else {
                continue;
            };
            fs::write(dir.path().join(own), Files::Embedded.read(&name).unwrap()).unwrap();
        }
        let alone = Folder::root(Files::Directory(dir.path().into()));
        let inside = Folder::below(Files::Embedded, JUDGE);
        assert_eq!(alone.sha256().unwrap(), inside.sha256().unwrap());
    }
}

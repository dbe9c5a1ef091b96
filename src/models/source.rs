//! Where a model comes from: a local path, or a repository on the Hugging Face hub.
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::hub::{self, HubAccess, HubError, PullProgress, Wanted};

/// Marks a reference to the hub.
const HUB_SCHEME: &str = "hf:";
/// The revision meant where a reference names none.
const DEFAULT_REVISION: &str = "main";

/// A local path, or `hf:owner/name[@revision][/file]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelRef {
    Local(PathBuf),
    Hub(HubRef),
}

/// A repository on the hub, or one file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubRef {
    pub owner: String,
    pub name: String,
    /// Branch, tag or commit; a commit pins the content.
    pub revision: Option<String>,
    /// Path inside the repository.
    pub file: Option<String>,
}

/// Why a reference could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    #[error("a model reference must not be empty: name a directory, or hf:owner/name")]
    Empty,
    #[error(
        "{reference:?} {problem}; write hf:owner/name, hf:owner/name@revision or hf:owner/name@revision/file.pt"
    )]
    Hub {
        reference: String,
        problem: &'static str,
    },
}

/// Why a reference gave no local path.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{}: {problem}{}", path.display(), hub_hint(path))]
    Local {
        path: PathBuf,
        problem: &'static str,
    },
    #[error("{reference}: {problem}")]
    WrongShape {
        reference: HubRef,
        problem: &'static str,
    },
    #[error(transparent)]
    Hub(#[from] HubError),
}

impl HubRef {
    /// `owner/name`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// The revision, or the hub's default branch.
    pub fn revision_or_default(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }
}

impl fmt::Display for HubRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HUB_SCHEME}{}/{}", self.owner, self.name)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{revision}")?;
        }
        if let Some(file) = &self.file {
            write!(f, "/{file}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Hub(hub) => hub.fmt(f),
        }
    }
}

impl FromStr for ModelRef {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        match text.strip_prefix(HUB_SCHEME) {
            Some(rest) => parse_hub(text, rest).map(Self::Hub),
            None if text.trim().is_empty() => Err(RefError::Empty),
            None => Ok(Self::Local(PathBuf::from(text))),
        }
    }
}

fn parse_hub(text: &str, rest: &str) -> Result<HubRef, RefError> {
    let refuse = |problem| RefError::Hub {
        reference: text.to_owned(),
        problem,
    };
    let (owner, rest) = rest
        .split_once('/')
        .ok_or_else(|| refuse("lacks the name after the owner"))?;
    let (repository, file) = match rest.split_once('/') {
        Some((repository, file)) => (repository, Some(file)),
        None => (rest, None),
    };
    let (name, revision) = match repository.split_once('@') {
        Some((name, revision)) => (name, Some(revision)),
        None => (repository, None),
    };
    if !is_word(owner) || !is_word(name) {
        return Err(refuse(
            "has an owner or name with characters other than letters, digits, '.', '_' and '-'",
        ));
    }
    if revision.is_some_and(|revision| !is_word(revision)) {
        return Err(refuse(
            "has no valid revision after '@' (a branch, tag or commit without '/')",
        ));
    }
    if file.is_some_and(|file| !file.split('/').all(is_word)) {
        return Err(refuse("has no valid file path after the name"));
    }
    Ok(HubRef {
        owner: owner.into(),
        name: name.into(),
        revision: revision.map(Into::into),
        file: file.map(Into::into),
    })
}

/// A path component that cannot leave its directory.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

impl ModelRef {
    /// Directory of the bundle, downloaded where needed and allowed. Blocks: not for async tasks.
    ///
    /// # Errors
    /// No such directory, the reference names one file, or the hub could not supply it.
    pub fn bundle_directory(
        &self,
        access: &HubAccess,
        progress: &dyn PullProgress,
    ) -> Result<PathBuf, SourceError> {
        let (here, there) = (
            "no such directory; a bundle is a directory in diffusers layout",
            "names one file, but a bundle is a whole repository; leave out the part after the name",
        );
        match self {
            Self::Local(path) => directory(path, here),
            Self::Hub(hub) => Ok(hub::obtain(
                whole(hub, there)?,
                Wanted::Bundle,
                access,
                progress,
            )?),
        }
    }

    /// Directory of one model, such as a judge, downloaded where needed and allowed. Blocks: not for async tasks.
    ///
    /// # Errors
    /// No such directory, the reference names one file, or the hub could not supply it.
    pub fn model_directory(
        &self,
        access: &HubAccess,
        progress: &dyn PullProgress,
    ) -> Result<PathBuf, SourceError> {
        let (here, there) = (
            "no such directory; a model is a directory in Hugging Face layout",
            "names one file, but a model is a whole repository; leave out the part after the name",
        );
        match self {
            Self::Local(path) => directory(path, here),
            Self::Hub(hub) => Ok(hub::obtain(
                whole(hub, there)?,
                Wanted::Model,
                access,
                progress,
            )?),
        }
    }

    /// Path of one weight file, downloaded where needed and allowed. Blocks: not for async tasks.
    ///
    /// # Errors
    /// No such file, the reference names a whole repository, or the hub could not supply it.
    pub fn weight_file(
        &self,
        access: &HubAccess,
        progress: &dyn PullProgress,
    ) -> Result<PathBuf, SourceError> {
        match self {
            Self::Local(path) if path.is_file() => Ok(path.clone()),
            Self::Local(path) => Err(local(
                path,
                "no such file; weights are a .safetensors or torch .pt file",
            )),
            Self::Hub(hub) => match &hub.file {
                Some(file) => Ok(hub::obtain(hub, Wanted::File(file), access, progress)?),
                None => Err(SourceError::WrongShape {
                    reference: hub.clone(),
                    problem: "names a whole repository, but weights are one file; add it, as in hf:owner/name/file.pt",
                }),
            },
        }
    }
}

fn directory(path: &Path, problem: &'static str) -> Result<PathBuf, SourceError> {
    match path.is_dir() {
        true => Ok(path.to_owned()),
        false => Err(local(path, problem)),
    }
}

/// A reference to all of a repository.
fn whole<'a>(hub: &'a HubRef, problem: &'static str) -> Result<&'a HubRef, SourceError> {
    match hub.file {
        None => Ok(hub),
        Some(_) => Err(SourceError::WrongShape {
            reference: hub.clone(),
            problem,
        }),
    }
}

fn local(path: &Path, problem: &'static str) -> SourceError {
    SourceError::Local {
        path: path.to_owned(),
        problem,
    }
}

/// A missing `owner/name` was probably meant for the hub.
fn hub_hint(path: &Path) -> String {
    let text = path.to_string_lossy();
    match format!("{HUB_SCHEME}{text}").parse::<ModelRef>() {
        Ok(reference) if !path.exists() => format!(" (from the hub: {reference})"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(text: &str) -> HubRef {
        match text.parse().unwrap() {
            ModelRef::Hub(hub) => hub,
            ModelRef::Local(path) => panic!("{} is local", path.display()),
        }
    }

    #[test]
    fn references_read_and_print_alike() {
        for text in [
            "hf:Tongyi-MAI/Z-Image",
            "hf:Tongyi-MAI/Z-Image@0123abc",
            "hf:nupurkmr9/npedit/zimage_npedit_internvl.pt",
            "hf:a/b@v1.0/dir/x.safetensors",
            "some/dir",
            "/abs/dir",
        ] {
            assert_eq!(text.parse::<ModelRef>().unwrap().to_string(), text);
        }
        let full = hub("hf:a/b@v1.0/dir/x.safetensors");
        assert_eq!(full.repository(), "a/b");
        assert_eq!(full.revision_or_default(), "v1.0");
        assert_eq!(full.file.as_deref(), Some("dir/x.safetensors"));
        assert_eq!(hub("hf:a/b").revision_or_default(), "main");
    }

    #[test]
    fn broken_references_are_refused_with_an_example() {
        for text in [
            "hf:",
            "hf:a",
            "hf:/b",
            "hf:a/",
            "hf:a/b@",
            "hf:a/b@/f",
            "hf:a/b/",
            "hf:a/b/../c",
            "hf:a/b//c",
            "hf:../b",
            "hf:a/b c",
            "hf:a/.b",
            "hf:a/b@x@y",
            "hf:a/b?x",
            "hf:a\\b/c",
        ] {
            let error = text.parse::<ModelRef>().unwrap_err().to_string();
            assert!(error.contains("hf:owner/name@revision"), "{text}: {error}");
        }
        assert_eq!(" ".parse::<ModelRef>(), Err(RefError::Empty));
    }

    #[test]
    fn local_references_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("w.safetensors");
        std::fs::write(&file, b"x").unwrap();
        let access = HubAccess {
            offline: true,
            cache: dir.path().join("none"),
        };
        let (directory, weights) = (
            ModelRef::Local(dir.path().into()),
            ModelRef::Local(file.clone()),
        );
        assert_eq!(
            directory.bundle_directory(&access, &hub::Silent).unwrap(),
            dir.path()
        );
        assert_eq!(weights.weight_file(&access, &hub::Silent).unwrap(), file);
        assert!(directory.weight_file(&access, &hub::Silent).is_err());
        assert!(weights.bundle_directory(&access, &hub::Silent).is_err());
        let missing =
            ModelRef::Local("Tongyi-MAI/Z-Image".into()).bundle_directory(&access, &hub::Silent);
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .contains("hf:Tongyi-MAI/Z-Image")
        );
        assert!(
            ModelRef::Hub(hub("hf:a/b"))
                .weight_file(&access, &hub::Silent)
                .is_err()
        );
        assert!(
            ModelRef::Hub(hub("hf:a/b/c.pt"))
                .bundle_directory(&access, &hub::Silent)
                .is_err()
        );
    }
}

//! The judge: found beside or inside the bundle, and loaded.
use std::path::{Component, Path, PathBuf};

use super::{
    AppError, JudgeFiles, Loader,
    loader::{name, parse},
};
use crate::{
    models::{
        files::Files,
        folder::Folder,
        hub::HubError,
        source::{HubRef, ModelRef, SourceError},
    },
    nn::Compute,
    pipelines::judge::Judge,
};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const SHARD_INDEX: &str = "model.safetensors.index.json";
/// What a judge's repository may hold beside config and weights.
const TEXT_FILES: [&str; 6] = [
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// A judge's files, with what clients call it.
struct Found {
    name: String,
    folder: Folder,
}

impl Loader<'_> {
    /// Finds the judge, downloading where needed and allowed, and loads it; none where none is named or wanted. Blocks: not
    /// for async tasks.
    ///
    /// # Errors
    /// A reference that cannot be resolved, files that do not load, or a calibration for another judge.
    pub fn judge(&self, files: &JudgeFiles) -> Result<Option<Judge>, AppError> {
        let Some(Found { name, folder }) = self.find_judge()? else {
            return Ok(None);
        };
        let compute = Compute {
            device: self.device.clone(),
            dtype: self.dtype(self.config.judge.dtype),
        };
        let judge = Judge::load(&name, &folder, &compute, files.settings.clone());
        let mut judge = judge.map_err(|source| AppError::Judge { name, source })?;
        if let Some((path, calibration)) = &files.calibration {
            let calibrated = judge.calibrated(calibration);
            judge = calibrated.map_err(|source| AppError::Calibration {
                path: path.clone(),
                source,
            })?;
        }
        let identity = judge.identity();
        tracing::info!(
            judge = identity.name,
            sha256 = identity.sha256,
            dtype = compute.dtype.as_str(),
            "the judge is loaded"
        );
        Ok(Some(judge))
    }

    fn find_judge(&self) -> Result<Option<Found>, AppError> {
        let settings = &self.config.judge;
        if !settings.enabled {
            return Ok(None);
        }
        if let Some(reference) = &settings.reference {
            return Ok(Some(self.separate(&parse("judge.reference", reference)?)?));
        }
        let bundle = self.bundle()?;
        let named = bundle.settings().map_err(|source| AppError::Bundle {
            name: bundle.name.clone(),
            source,
        })?;
        let Some(named) = named.judge else {
            return Ok(None);
        };
        if let Ok(reference @ ModelRef::Hub(_)) = named.parse() {
            return Ok(Some(self.separate(&reference)?));
        }
        // A bundle comes from anywhere: it names nothing outside of itself.
        let mut parts = Path::new(&named).components();
        let inside = !named.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)));
        let config = format!("{named}/{CONFIG}");
        if !inside || !bundle.files.exists(&config) {
            return Err(AppError::BundleJudge { judge: named });
        }
        Ok(Some(Found {
            name: format!("{}/{named}", bundle.name),
            folder: match bundle.files {
                // Its hash is then that of the same judge on its own.
                Files::Directory(root) => Folder::root(Files::Directory(root.join(&named))),
                Files::Embedded => Folder::below(Files::Embedded, &named),
            },
        }))
    }

    /// A judge outside of the bundle.
    fn separate(&self, reference: &ModelRef) -> Result<Found, AppError> {
        let directory = match reference {
            ModelRef::Hub(hub) if hub.file.is_none() => self.download(hub)?,
            ModelRef::Local(_) | ModelRef::Hub(_) => {
                reference.bundle_directory(&self.access, self.progress)?
            }
        };
        Ok(Found {
            name: name(reference),
            folder: Folder::root(Files::Directory(directory)),
        })
    }

    /// The snapshot of a repository that is one model, with what a judge needs of it.
    fn download(&self, hub: &HubRef) -> Result<PathBuf, SourceError> {
        let config = self.file(hub, CONFIG)?;
        let snapshot = config.parent().unwrap_or(&config).to_owned();
        // All files of one commit, whatever happens to the branch meanwhile.
        let commit = snapshot.file_name().map(|name| name.to_string_lossy());
        let pinned = HubRef {
            revision: commit.map(Into::into),
            ..hub.clone()
        };
        for file in TEXT_FILES {
            self.optional_file(&pinned, file)?;
        }
        match self.optional_file(&pinned, SHARD_INDEX)? {
            None => {
                self.file(&pinned, WEIGHTS)?;
            }
            Some(index) => {
                for shard in shards(&index) {
                    self.file(&pinned, &shard)?;
                }
            }
        }
        Ok(snapshot)
    }

    fn file(&self, hub: &HubRef, file: &str) -> Result<PathBuf, SourceError> {
        let reference = ModelRef::Hub(HubRef {
            file: Some(file.to_owned()),
            ..hub.clone()
        });
        reference.weight_file(&self.access, self.progress)
    }

    fn optional_file(&self, hub: &HubRef, file: &str) -> Result<Option<PathBuf>, SourceError> {
        match self.file(hub, file) {
            Ok(path) => Ok(Some(path)),
            // Offline nobody knows whether the repository has it: a model that needs it says so when it loads.
            Err(SourceError::Hub(HubError::NoFile { .. } | HubError::NotCached { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The files that an index of shards names; an index that cannot be read is refused when the weights are.
fn shards(index: &Path) -> Vec<String> {
    let parsed = std::fs::read(index)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    let mut names: Vec<String> = parsed
        .as_ref()
        .and_then(|index| index.get("weight_map")?.as_object())
        .into_iter()
        .flat_map(|map| map.values())
        .filter_map(|shard| shard.as_str().map(str::to_owned))
        // A name that leaves the repository is refused when the weights are read.
        .filter(|shard| !shard.contains('/'))
        .collect();
    names.sort();
    names.dedup();
    names
}

//! The judge: found beside or inside the bundle, and loaded.
use std::path::{Component, Path};

use super::{
    AppError, JudgeFiles, Loader,
    loader::{name, parse},
};
use crate::{
    models::{files::Files, folder::Folder, source::ModelRef},
    nn::Compute,
    pipelines::judge::Judge,
};

const CONFIG: &str = "config.json";

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
        let settings = files.settings(&folder);
        let settings = settings.map_err(|source| AppError::OwnQuestions {
            name: name.clone(),
            source,
        })?;
        let judge = Judge::load(&name, &folder, &compute, settings);
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
        let directory = reference.model_directory(&self.access, self.progress)?;
        Ok(Found {
            name: name(reference),
            folder: Folder::root(Files::Directory(directory)),
        })
    }
}

//! The editor with an adapter beside its generator.
use std::path::{Path, PathBuf};

use super::{AppError, Loader};
use crate::{
    adapters::{self, Adapter, AdapterError},
    pipelines::{
        bundle::{BundleSource, EditBundle, EditBundleError},
        edit::EditPipeline,
    },
};

/// An adapter, and how strongly it acts.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterChoice {
    /// A file, or a directory with one adapter.
    pub path: PathBuf,
    /// 1 is as strong as it was trained.
    pub scale: f64,
}

impl AdapterChoice {
    fn read(&self) -> Result<Adapter, AdapterError> {
        adapters::read(&self.path)?.adapter.scaled(self.scale)
    }
}

impl Loader<'_> {
    /// [`Loader::editor`] with an adapter; what refuses the adapter comes before what takes long. Blocks: not for async tasks.
    ///
    /// # Errors
    /// See [`Loader::editor`]; an adapter that cannot be read, or that was trained on another generator.
    pub fn adapted_editor(&self, choice: &AdapterChoice) -> Result<EditPipeline, AppError> {
        let source = self.bundle()?;
        let beside = Beside::read(choice, &source)?;
        let name = source.name.clone();
        let EditPipeline { bundle } = self.load_editor(source)?;
        let bundle = beside.put(bundle, &name)?;
        tracing::info!(sha256 = %beside.adapter.id(), scale = choice.scale, "the adapter is applied");
        Ok(EditPipeline { bundle })
    }
}

/// An adapter that may stand beside a bundle's generator.
pub(super) struct Beside<'a> {
    pub adapter: Adapter,
    path: &'a Path,
}

impl<'a> Beside<'a> {
    /// Reads it, and looks whether it was trained on the generator of `source`.
    pub(super) fn read(choice: &'a AdapterChoice, source: &BundleSource) -> Result<Self, AppError> {
        let path = choice.path.as_path();
        let adapter = choice.read().map_err(refused(path))?;
        if adapter.config().base.is_some() {
            let base = generator_sha256(source)?;
            adapter.check_base(&base).map_err(refused(path))?;
        }
        Ok(Self { adapter, path })
    }

    /// `bundle`, which is called `name`, with the branches.
    pub(super) fn put(&self, bundle: EditBundle, name: &str) -> Result<EditBundle, AppError> {
        let generator = &bundle.generator.0;
        self.adapter
            .check_shapes(&generator.linear_shapes())
            .map_err(refused(self.path))?;
        let branches = self
            .adapter
            .branches(generator.compute())
            .map_err(|source| refused(self.path)(placing(self.path, source)))?;
        let adapted = bundle.with_branches(self.adapter.id().as_str(), branches);
        adapted.map_err(|source| AppError::Bundle {
            name: name.to_owned(),
            source: source.into(),
        })
    }
}

fn refused(path: &Path) -> impl Fn(AdapterError) -> AppError {
    move |source| AppError::Adapter {
        path: path.to_owned(),
        source,
    }
}

fn generator_sha256(source: &BundleSource) -> Result<String, AppError> {
    source.generator_sha256().map_err(|error| AppError::Bundle {
        name: source.name.clone(),
        source: EditBundleError::from(error),
    })
}

fn placing(path: &Path, source: candle_core::Error) -> AdapterError {
    AdapterError::Tensor {
        module: path.display().to_string(),
        source,
    }
}

//! The editor with an adapter beside its generator.
use std::path::{Path, PathBuf};

use super::{AppError, Loader};
use crate::{
    adapters::{self, Adapter, AdapterError},
    pipelines::{
        bundle::{BundleSource, EditBundleError},
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
        let refused = |source| AppError::Adapter {
            path: choice.path.clone(),
            source,
        };
        let adapter = choice.read().map_err(refused)?;
        let source = self.bundle()?;
        if adapter.config().base.is_some() {
            let base = generator_sha256(&source)?;
            adapter.check_base(&base).map_err(refused)?;
        }
        let name = source.name.clone();
        let EditPipeline { bundle } = self.load_editor(source)?;
        let generator = &bundle.generator.0;
        adapter
            .check_shapes(&generator.linear_shapes())
            .map_err(refused)?;
        let branches = adapter
            .branches(generator.compute())
            .map_err(|source| refused(placing(&choice.path, source)))?;
        let adapted = bundle.with_branches(adapter.id().as_str(), branches);
        let bundle = adapted.map_err(|source| AppError::Bundle {
            name,
            source: source.into(),
        })?;
        tracing::info!(sha256 = %adapter.id(), scale = choice.scale, "the adapter is applied");
        Ok(EditPipeline { bundle })
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

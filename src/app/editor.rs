//! The editor: a bundle, found and loaded.
use super::{
    AppError, Loader,
    loader::{name, parse},
};
use crate::{
    models::files::Files,
    pipelines::{
        bundle::{BundleSource, EditBundle, GeneratorWeights, Placement},
        edit::EditPipeline,
    },
};

/// Name of the bundle inside the binary.
const EMBEDDED_NAME: &str = "npedit-tiny";

impl Loader<'_> {
    /// Finds the bundle, downloading where needed and allowed, and loads it. Blocks: not for async tasks.
    ///
    /// # Errors
    /// A reference that cannot be resolved, or files that do not load.
    pub fn editor(&self) -> Result<EditPipeline, AppError> {
        self.load_editor(self.bundle()?)
    }

    pub(super) fn load_editor(&self, source: BundleSource) -> Result<EditPipeline, AppError> {
        let bundle = EditBundle::load(&source, &self.placement());
        let bundle = bundle.map_err(|error| AppError::Bundle {
            name: source.name,
            source: error,
        })?;
        let identity = &bundle.identity;
        tracing::info!(
            model = identity.name,
            sha256 = identity.sha256,
            device = ?identity.device,
            dtypes = ?identity.dtypes,
            "the model is loaded"
        );
        Ok(EditPipeline { bundle })
    }

    /// Where the bundle's files are.
    pub(super) fn bundle(&self) -> Result<BundleSource, AppError> {
        let model = &self.config.model;
        let Some(reference) = &model.reference else {
            return Ok(BundleSource {
                name: EMBEDDED_NAME.to_owned(),
                files: Files::Embedded,
                generator: GeneratorWeights::Bundle,
            });
        };
        let parsed = parse("model.reference", reference)?;
        let generator = model
            .generator
            .as_ref()
            .map(|text| parse("model.generator", text))
            .transpose()?;
        let directory = parsed.bundle_directory(&self.access, self.progress)?;
        let generator = match generator {
            None => GeneratorWeights::Bundle,
            Some(generator) => {
                GeneratorWeights::File(generator.weight_file(&self.access, self.progress)?)
            }
        };
        Ok(BundleSource {
            name: name(&parsed),
            files: Files::Directory(directory),
            generator,
        })
    }

    pub(crate) fn placement(&self) -> Placement {
        let model = &self.config.model;
        Placement {
            transformer: self.dtype(model.transformer_dtype),
            text_encoder: self.dtype(model.text_encoder_dtype),
            vae: self.dtype(model.vae_dtype),
            device: self.device.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::{
        config::{Config, DeviceChoice, DtypeChoice, Given},
        models::hub::Silent,
    };

    fn config(reference: &str) -> Config {
        let mut config = Config::load(&Given::default()).unwrap().config;
        config.model.device = DeviceChoice::Cpu;
        config.model.offline = true;
        config.model.reference = Some(reference.to_owned());
        config
    }

    fn refusal(reference: &str) -> AppError {
        let config = config(reference);
        let loader = Loader::new(&config, &Silent).unwrap();
        loader.editor().err().unwrap()
    }

    #[test]
    fn the_cpu_computes_in_f32_unless_told_otherwise() {
        let mut config = config("x");
        config.model.vae_dtype = DtypeChoice::Bf16;
        let placement = Loader::new(&config, &Silent).unwrap().placement();
        assert_eq!(
            (placement.transformer, placement.vae),
            (DType::F32, DType::BF16)
        );
    }

    #[test]
    fn what_cannot_be_loaded_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let empty = refusal(&dir.path().display().to_string());
        assert!(matches!(empty, AppError::Bundle { .. }), "{empty}");
        let broken = refusal("hf:only");
        assert!(
            broken.to_string().starts_with("model.reference: "),
            "{broken}"
        );
        assert!(matches!(refusal("no/such/dir"), AppError::Source(_)));
    }
}

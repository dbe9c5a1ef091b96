//! The models of one bundle, loaded and placed.
use std::{collections::BTreeMap, path::PathBuf};

use candle_core::{DType, Device, Tensor};

use super::{
    identity::{BundleIdentity, DeviceClass, RoleDtypes},
    image::Preprocess,
    sampler::Sampler,
    sigmas::{Sigmas, SigmasError},
    text::InstructionEncoder,
    velocity::Generator,
};
use crate::{
    models::{
        bundle::{self, BundleError, BundleSettings},
        error::LoadError,
        files::{Files, file_sha256, hex_sha256},
        qwen3::{self, ChatTokenizer, TextEncoder},
        vae::{self, AutoencoderKl},
        weights::Weights,
        zimage::{self, LoraWeights, PaddingAttention, Transformer},
    },
    nn::{Compute, Lora},
};

/// Where each component runs, and in what precision.
#[derive(Debug, Clone)]
pub struct Placement {
    pub device: Device,
    pub transformer: DType,
    pub text_encoder: DType,
    pub vae: DType,
}

/// Where the editor's weights come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GeneratorWeights {
    /// The bundle's own `transformer/`.
    Bundle,
    /// A file beside the bundle: `.safetensors`, or the released torch `.pt`.
    File(PathBuf),
}

/// Which transformer of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Generator,
    /// The text-to-image model.
    Teacher,
}

/// Directory of the teacher's weights, where a bundle has its own.
const TEACHER: &str = "teacher";

/// Where a bundle's files are, and what people call it.
#[derive(Debug, Clone)]
pub struct BundleSource {
    pub name: String,
    pub files: Files,
    pub generator: GeneratorWeights,
}

/// Everything that an edit needs.
pub struct EditBundle {
    pub source: BundleSource,
    pub settings: BundleSettings,
    pub identity: BundleIdentity,
    pub device: Device,
    pub generator: Generator,
    pub vae: AutoencoderKl,
    pub text: InstructionEncoder,
}

/// A bundle that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum EditBundleError {
    #[error(transparent)]
    Settings(#[from] BundleError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(
        "{part} of the bundle does not fit its transformer: {found} where {expected} is needed; use parts that belong together"
    )]
    Mismatch {
        part: &'static str,
        found: String,
        expected: String,
    },
}

impl EditBundle {
    /// Loads every component; the hash of the files is taken meanwhile.
    ///
    /// # Errors
    /// See [`EditBundleError`].
    pub fn load(source: &BundleSource, placement: &Placement) -> Result<Self, EditBundleError> {
        let settings = source.settings()?;
        std::thread::scope(|scope| {
            let hash = scope.spawn(|| source.sha256());
            let (text, features) = load_text(source, placement)?;
            let vae = load_vae(source, placement)?;
            let generator = load_generator(source, placement)?;
            let config = generator.config();
            fits(
                "vae",
                "latent channels",
                vae.latent_channels(),
                config.in_channels,
            )?;
            fits("text_encoder", "features", features, config.cap_feat_dim)?;
            let padding = if settings.attend_padding {
                PaddingAttention::Attend
            } else {
                PaddingAttention::Mask
            };
            Ok(Self {
                source: source.clone(),
                generator: Generator(generator.with_padding(padding)),
                settings,
                identity: BundleIdentity {
                    name: source.name.clone(),
                    sha256: hash
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
                    adapter: None,
                    device: DeviceClass::from(&placement.device),
                    dtypes: RoleDtypes::from(placement),
                },
                device: placement.device.clone(),
                vae,
                text,
            })
        })
    }

    /// The same models with `branches` beside the generator's layers; `id` names them in receipts.
    ///
    /// # Errors
    /// A branch for a module that the generator does not have, or has in another shape.
    pub fn with_branches(
        mut self,
        id: &str,
        branches: BTreeMap<String, Lora>,
    ) -> Result<Self, LoadError> {
        self.generator = Generator(self.generator.0.with_lora(&LoraWeights::new(branches))?);
        self.identity.adapter = Some(id.to_owned());
        Ok(self)
    }

    /// Both sides of a picture that the model sees are multiples of this many pixels.
    pub fn size_multiple(&self) -> usize {
        self.vae.downscale_factor() * self.generator.0.config().patch()
    }

    /// How a picture is brought to the size of the models.
    pub fn preprocess(&self) -> Preprocess {
        Preprocess::Area {
            target_area_px: self.settings.target_area_px,
            multiple: self.size_multiple() as u32,
        }
    }

    /// The bundle's own sampler.
    pub fn sampler(&self) -> Sampler {
        match self.settings.sampler {
            bundle::Sampler::Stochastic => Sampler::Stochastic {
                eta: self.settings.eta,
            },
            bundle::Sampler::Euler => Sampler::Euler,
        }
    }

    /// Noise levels of an edit in `steps` steps.
    ///
    /// # Errors
    /// A step count that no edit has.
    pub fn sigmas(&self, steps: usize) -> Result<Sigmas, SigmasError> {
        Sigmas::for_edit(steps, &self.settings.sigmas, self.settings.shift)
    }
}

impl BundleSource {
    /// What `npedit.json` says; the released checkpoint's settings where there is none.
    ///
    /// # Errors
    /// The file cannot be read or used.
    pub fn settings(&self) -> Result<BundleSettings, EditBundleError> {
        if !self.files.exists(bundle::FILE_NAME) {
            return Ok(BundleSettings::default());
        }
        Ok(BundleSettings::parse(&self.files.read(bundle::FILE_NAME)?)?)
    }

    /// The text-to-image model that the editor is held to: `teacher/`, else the transformer that other generator weights stand
    /// in for, else the `generator` as it is, whose weights are then shared.
    ///
    /// # Errors
    /// Weights that are not those of the config.
    pub fn teacher(
        &self,
        generator: &Generator,
        placement: &Placement,
    ) -> Result<Transformer, LoadError> {
        if self.generator == GeneratorWeights::Bundle && !self.has_teacher() {
            return Ok(generator.0.with_padding(PaddingAttention::Attend));
        }
        let config = zimage::Config::read(&self.files)?;
        Transformer::load(
            &config,
            self.teacher_weights()?,
            &placement.compute(placement.transformer),
        )
    }

    fn teacher_weights(&self) -> Result<Weights, LoadError> {
        let directory = if self.has_teacher() {
            TEACHER
        } else {
            "transformer"
        };
        Weights::safetensors(&self.files, directory)
    }

    fn has_teacher(&self) -> bool {
        let names = [
            "diffusion_pytorch_model.safetensors",
            "diffusion_pytorch_model.safetensors.index.json",
        ];
        let mut names = names.iter();
        names.any(|name| self.files.exists(&format!("{TEACHER}/{name}")))
    }

    /// Hex sha256 of the generator's weights: what an adapter names its base by.
    ///
    /// # Errors
    /// The weights cannot be read.
    pub fn generator_sha256(&self) -> Result<String, LoadError> {
        Transformer::sha256(&self.generator_weights()?)
    }

    fn generator_weights(&self) -> Result<Weights, LoadError> {
        match &self.generator {
            GeneratorWeights::Bundle => Weights::safetensors(&self.files, "transformer"),
            GeneratorWeights::File(path) => Weights::file(path),
        }
    }

    /// Weights of generator or teacher by their bare names, in single precision: where full training starts.
    ///
    /// # Errors
    /// A tensor cannot be read.
    pub fn masters(
        &self,
        role: Role,
        placement: &Placement,
    ) -> Result<BTreeMap<String, Tensor>, LoadError> {
        let weights = match role {
            Role::Generator => self.generator_weights()?,
            Role::Teacher => self.teacher_weights()?,
        };
        let prefix = format!("{}.", zimage::GENERATOR_PREFIX);
        weights.into_tensors(&prefix, &placement.compute(DType::F32))
    }

    /// The shapes of generator and teacher.
    ///
    /// # Errors
    /// No config, or one that cannot be used.
    pub fn transformer_config(&self) -> Result<zimage::Config, LoadError> {
        zimage::Config::read(&self.files)
    }

    /// Hex sha256 over everything that decides the pictures.
    fn sha256(&self) -> Result<String, LoadError> {
        let base = self.files.sha256()?;
        match &self.generator {
            GeneratorWeights::Bundle => Ok(base),
            GeneratorWeights::File(path) => Ok(hex_sha256(
                format!("{base}{}", file_sha256(path)?).as_bytes(),
            )),
        }
    }
}

/// The text encoder, and the width of its features.
fn load_text(
    source: &BundleSource,
    placement: &Placement,
) -> Result<(InstructionEncoder, usize), LoadError> {
    let config = qwen3::Config::read(&source.files)?;
    let weights = Weights::safetensors(&source.files, "text_encoder")?;
    let encoder = TextEncoder::load(&config, weights, &placement.compute(placement.text_encoder))?;
    let tokenizer = ChatTokenizer::load(&source.files)?;
    Ok((
        InstructionEncoder { tokenizer, encoder },
        config.hidden_size,
    ))
}

fn load_vae(source: &BundleSource, placement: &Placement) -> Result<AutoencoderKl, LoadError> {
    let config = vae::Config::read(&source.files)?;
    let weights = Weights::safetensors(&source.files, "vae")?;
    AutoencoderKl::load(&config, weights, &placement.compute(placement.vae))
}

fn load_generator(source: &BundleSource, placement: &Placement) -> Result<Transformer, LoadError> {
    let config = zimage::Config::read(&source.files)?;
    Transformer::load(
        &config,
        source.generator_weights()?,
        &placement.compute(placement.transformer),
    )
}

impl Placement {
    /// Where a component of `dtype` runs.
    pub fn compute(&self, dtype: DType) -> Compute {
        Compute {
            device: self.device.clone(),
            dtype,
        }
    }
}

fn fits(
    part: &'static str,
    what: &str,
    found: usize,
    expected: usize,
) -> Result<(), EditBundleError> {
    if found == expected {
        return Ok(());
    }
    Err(EditBundleError::Mismatch {
        part,
        found: format!("{found} {what}"),
        expected: format!("{expected}"),
    })
}

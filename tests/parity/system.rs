//! A variant's models, loaded as production loads them.
use std::{env, fs};

use candle_core::{DType, Device, Tensor};
use npedit::{
    models::{
        files::Files,
        qwen3::Thinking,
        weights::Weights,
        zimage::{Captions, Config, Transformer},
    },
    nn::Compute,
    pipelines::{
        bundle::{BundleSource, EditBundle, GeneratorWeights, Placement},
        image::{RgbImage, to_pixels},
        text::TextTokens,
    },
};
use serde_json::Value;

use crate::{golden::Variant, ledger::Failure};

/// Editor, teacher, autoencoder and text encoder of one variant, in float32.
pub struct System<'a> {
    pub variant: &'a Variant,
    pub files: Files,
    pub compute: Compute,
    /// The released editor: `student.pt` on the bundle.
    pub bundle: EditBundle,
    /// The bundle's own transformer.
    pub teacher: Transformer,
}

impl<'a> System<'a> {
    pub fn load(variant: &'a Variant) -> Result<Self, Failure> {
        let device = device()?;
        let files = Files::Directory(variant.dir.join("bundle"));
        let source = BundleSource {
            name: variant.name.clone(),
            files: files.clone(),
            generator: GeneratorWeights::File(variant.dir.join("student.pt")),
        };
        let dtype = DType::F32;
        let placement = Placement {
            device: device.clone(),
            transformer: dtype,
            text_encoder: dtype,
            vae: dtype,
        };
        let compute = Compute { device, dtype };
        let teacher = Transformer::load(
            &Config::read(&files)?,
            Weights::safetensors(&files, "transformer")?,
            &compute,
        )?;
        Ok(Self {
            variant,
            bundle: EditBundle::load(&source, &placement)?,
            files,
            compute,
            teacher,
        })
    }

    /// A recorded input or output where the models are.
    pub fn tensor(&self, name: &str) -> Result<Tensor, Failure> {
        Ok(self.variant.tensor(name)?.to_device(&self.compute.device)?)
    }

    /// Recorded latents `[.., C, 1, h, w]` without their frame axis.
    pub fn latents(&self, name: &str) -> Result<Tensor, Failure> {
        let tensor = self.tensor(name)?;
        Ok(tensor.squeeze(tensor.rank() - 3)?)
    }

    /// An image of the variant as it is.
    pub fn image(&self, path: &str) -> Result<RgbImage, Failure> {
        Ok(image::open(self.variant.dir.join(path))?.into_rgb8())
    }

    /// Latents `[1, C, h, w]` of an image that has the model's size already.
    pub fn encode_image(&self, path: &str) -> Result<Tensor, Failure> {
        let pixels = to_pixels(&self.image(path)?, &self.compute.device)?;
        Ok(self.bundle.vae.encode_mean(&pixels)?)
    }

    /// A text as the editor reads it.
    pub fn encode_text(&self, text: &str) -> Result<TextTokens, Failure> {
        Ok(self.bundle.text.encode(text, Thinking::EmptyBlock)?)
    }

    /// One text as conditioning of a batch of one.
    pub fn captions(&self, text: &str) -> Result<Captions, Failure> {
        Ok(Captions::new(&[self.encode_text(text)?.features])?)
    }

    /// A file of the bundle.
    pub fn json(&self, relative: &str) -> Result<Value, Failure> {
        Ok(serde_json::from_slice(&self.files.read(relative)?)?)
    }

    /// A file beside the bundle.
    pub fn json_beside(&self, relative: &str) -> Result<Value, Failure> {
        Ok(serde_json::from_slice(&fs::read(
            self.variant.dir.join(relative),
        )?)?)
    }
}

/// Where the models run.
pub fn device() -> Result<Device, Failure> {
    match env::var("NPEDIT_PARITY_DEVICE").as_deref() {
        Ok("cuda") => Ok(Device::new_cuda(0)?),
        Ok("cpu") | Err(_) => Ok(Device::Cpu),
        Ok(other) => Err(format!("NPEDIT_PARITY_DEVICE is {other}, expected cpu or cuda").into()),
    }
}

/// The texts of a JSON list, or the one text.
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// All numbers of a nested JSON list, in order.
pub fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => other.as_f64().into_iter().collect(),
    }
}

/// One text that a case must have.
pub fn text<'a>(case: &'a Value, key: &str) -> Result<&'a str, Failure> {
    case[key]
        .as_str()
        .ok_or_else(|| format!("a case has no text {key}").into())
}

//! A receipt as it is sent.
use serde::Serialize;
use utoipa::ToSchema;

use super::receipt::{Receipt, VERSION, preprocess_name};
use crate::engine::OutputFormat;

/// Everything that decides the bytes of an answer. Sent back with the same image, it gives the same bytes on the same build and
/// device class.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Receipt)]
#[serde(deny_unknown_fields)]
pub struct ReceiptBody {
    /// Form of the receipt, 1.
    #[schema(minimum = 1, maximum = 1)]
    pub version: u64,
    /// SHA-256 of the model's files, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub model: String,
    /// SHA-256 of the adapter, or null where none was used.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub adapter: Option<String>,
    /// How strongly the adapter acted; null where none was used.
    #[schema(minimum = -8, maximum = 8)]
    pub adapter_scale: Option<f64>,
    /// SHA-256 of the image's bytes as sent.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub input_sha256: String,
    #[schema(min_length = 1)]
    pub instruction: String,
    /// Seed of the first image; image i has `seed + i` and can be had alone with it and `n` 1.
    #[schema(minimum = 0, maximum = 9007199254740991u64)]
    pub seed: u64,
    #[schema(minimum = 1)]
    pub n: u64,
    /// Size of the answer, `WIDTHxHEIGHT`.
    #[schema(pattern = "^[0-9]{1,5}x[0-9]{1,5}$")]
    pub size: String,
    #[schema(minimum = 1, maximum = 8)]
    pub steps: u64,
    /// Noise levels from 1 to 0, one more than steps.
    pub sigmas: Vec<f64>,
    /// `stochastic` or `euler`.
    pub sampler: String,
    /// Share of fresh noise, 0 to 1; null for `euler`.
    pub eta: Option<f64>,
    /// `area` or `reference`.
    pub preprocess: String,
    /// `png`, `jpeg` or `webp`.
    pub output_format: String,
    /// Of JPEG; null for the lossless formats.
    #[schema(minimum = 1, maximum = 100)]
    pub quality: Option<u32>,
    /// Version of npedit.
    pub npedit: String,
    /// Devices of one class agree bit for bit.
    pub device: String,
    pub dtype: Dtypes,
}

/// Number format of each model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dtypes {
    pub transformer: String,
    pub text_encoder: String,
    pub vae: String,
}

impl From<&Receipt> for ReceiptBody {
    fn from(Receipt { facts, choices }: &Receipt) -> Self {
        let facts = facts.clone();
        let adapter_scale = facts.adapter.as_ref().map(|adapter| adapter.scale);
        Self {
            version: VERSION,
            model: facts.model,
            adapter: facts.adapter.map(|adapter| adapter.name),
            adapter_scale,
            input_sha256: facts.input_sha256,
            instruction: choices.instruction.clone(),
            seed: choices.seed,
            n: choices.n,
            size: format!("{}x{}", choices.size.0, choices.size.1),
            steps: choices.steps,
            sigmas: choices.sigmas.clone().into(),
            sampler: facts.sampler,
            eta: facts.eta,
            preprocess: preprocess_name(choices.preprocess).to_owned(),
            output_format: choices.output.name().to_owned(),
            quality: quality(choices.output),
            npedit: facts.npedit,
            device: facts.device,
            dtype: facts.dtype,
        }
    }
}

fn quality(output: OutputFormat) -> Option<u32> {
    match output {
        OutputFormat::Jpeg { quality } => Some(quality.into()),
        OutputFormat::Png | OutputFormat::Webp => None,
    }
}

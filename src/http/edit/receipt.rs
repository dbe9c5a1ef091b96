//! Everything that decides the bytes of an answer, so that it can be had again.
use super::{adapter::AdapterChoice, receipt_body::Dtypes};
use crate::{
    engine::{
        AppliedAdapter, DeviceClass, OutputFormat, PreprocessRule, Profile, RoleDtypes, Sampler,
        Sigmas,
    },
    http::problem::{Code, FieldError, Problem},
};

/// Version of the receipt's own form.
pub const VERSION: u64 = 1;
/// Numbers closer than this are the same, written by another JSON printer.
const TOLERANCE: f64 = 1e-9;

/// What an answer depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    pub facts: Facts,
    pub choices: Choices,
}

/// The part that the server and the image decide.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// SHA-256 of the model's files, in hexadecimal.
    pub model: String,
    pub adapter: Option<AdapterChoice>,
    pub input_sha256: String,
    pub sampler: String,
    /// Share of fresh noise; `euler` has none.
    pub eta: Option<f64>,
    pub npedit: String,
    pub device: String,
    pub dtype: Dtypes,
}

/// The part that the request decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Choices {
    pub instruction: String,
    /// Of the first image; image i has `seed + i`.
    pub seed: u64,
    pub n: u64,
    /// Width and height of the answer.
    pub size: (u32, u32),
    pub steps: u64,
    pub sigmas: Sigmas,
    pub preprocess: PreprocessRule,
    pub output: OutputFormat,
}

impl Facts {
    /// Those of an edit of that image here and now.
    pub fn here(profile: &Profile, adapter: Option<&AppliedAdapter>, input_sha256: &str) -> Self {
        let identity = &profile.identity;
        let (sampler, eta) = match profile.sampler {
            Sampler::Stochastic { eta } => ("stochastic", Some(eta)),
            Sampler::Euler => ("euler", None),
            Sampler::Renoise => ("renoise", None),
        };
        Self {
            model: identity.sha256.clone(),
            adapter: adapter.map(|applied| AdapterChoice {
                name: applied.adapter.id().to_string(),
                scale: applied.scale,
            }),
            input_sha256: input_sha256.to_owned(),
            sampler: sampler.to_owned(),
            eta,
            npedit: env!("CARGO_PKG_VERSION").to_owned(),
            device: device_name(identity.device).to_owned(),
            dtype: Dtypes::from(&identity.dtypes),
        }
    }
}

impl Receipt {
    /// The adapter that it names, by its id.
    pub fn adapter(&self) -> Option<AdapterChoice> {
        self.facts.adapter.clone()
    }

    /// Refuses, with everything that differs, what cannot be reproduced here.
    pub fn check(&self, here: &Facts, profile: &Profile) -> Result<(), Problem> {
        const MODEL: &str = "load the model of the receipt";
        const DTYPE: &str = "run with the dtypes of the receipt";
        let theirs = &self.facts;
        let mut found = Mismatches::default();
        found.text("model", (&theirs.model, &here.model), MODEL);
        let [theirs_adapter, here_adapter] = [theirs, here].map(|facts| facts.adapter.as_ref());
        let name = |adapter: Option<&AdapterChoice>| {
            adapter.map_or_else(|| "null".to_owned(), |adapter| adapter.name.clone())
        };
        found.text(
            "adapter",
            (&name(theirs_adapter), &name(here_adapter)),
            "ask where the adapter of the receipt is served, and name no other",
        );
        if let (Some(theirs), Some(here)) = (theirs_adapter, here_adapter) {
            found.numbers(
                "adapter_scale",
                (&[theirs.scale], &[here.scale]),
                "leave adapter and adapter_scale out",
            );
        }
        let images = (&*theirs.input_sha256, &*here.input_sha256);
        found.text(
            "input_sha256",
            images,
            "send the image of the receipt, byte for byte",
        );
        found.text("sampler", (&theirs.sampler, &here.sampler), MODEL);
        found.numbers("eta", (theirs.eta.as_slice(), here.eta.as_slice()), MODEL);
        match profile.sigmas(self.choices.steps as usize) {
            Ok(sigmas) => found.numbers(
                "sigmas",
                (self.choices.sigmas.as_slice(), sigmas.as_slice()),
                MODEL,
            ),
            Err(_) => found.text(
                "steps",
                (&self.choices.steps.to_string(), "not offered"),
                MODEL,
            ),
        }
        found.text(
            "npedit",
            (&theirs.npedit, &here.npedit),
            "run the npedit version of the receipt",
        );
        found.text(
            "device",
            (&theirs.device, &here.device),
            "run on the device class of the receipt",
        );
        found.text(
            "dtype/transformer",
            (&theirs.dtype.transformer, &here.dtype.transformer),
            DTYPE,
        );
        found.text(
            "dtype/text_encoder",
            (&theirs.dtype.text_encoder, &here.dtype.text_encoder),
            DTYPE,
        );
        found.text("dtype/vae", (&theirs.dtype.vae, &here.dtype.vae), DTYPE);
        found.finish()
    }
}

/// Everything that differs, so that a client learns it at once.
#[derive(Default)]
struct Mismatches(Vec<FieldError>);

impl Mismatches {
    fn text(&mut self, name: &str, (receipt, here): (&str, &str), advice: &str) {
        if receipt != here {
            let receipt: String = receipt.chars().take(64).collect();
            let message = format!(
                "is {receipt} in the receipt and {here} here; {advice}, or leave the receipt out"
            );
            self.0
                .push(FieldError::new(format!("/receipt/{name}"), message));
        }
    }

    fn numbers(&mut self, name: &str, (receipt, here): (&[f64], &[f64]), advice: &str) {
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE;
        if receipt.len() != here.len() || !receipt.iter().zip(here).all(close) {
            self.text(
                name,
                (&format!("{receipt:?}"), &format!("{here:?}")),
                advice,
            );
        }
    }

    fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Problem::fields(Code::ReceiptMismatch, self.0))
    }
}

impl From<&RoleDtypes> for Dtypes {
    fn from(dtypes: &RoleDtypes) -> Self {
        Self {
            transformer: dtypes.transformer.clone(),
            text_encoder: dtypes.text_encoder.clone(),
            vae: dtypes.vae.clone(),
        }
    }
}

/// Name of a device class on the wire.
pub fn device_name(device: DeviceClass) -> &'static str {
    match device {
        DeviceClass::Cpu => "cpu",
        DeviceClass::Cuda => "cuda",
        DeviceClass::Metal => "metal",
    }
}

/// Name of a preprocessing rule on the wire.
pub fn preprocess_name(rule: PreprocessRule) -> &'static str {
    match rule {
        PreprocessRule::Area => "area",
        PreprocessRule::Reference => "reference",
    }
}

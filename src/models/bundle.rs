//! What a bundle's `npedit.json` says beyond the models' own configs.
use serde::{Deserialize, Serialize};

use crate::world;

/// File name of the settings inside a bundle.
pub const FILE_NAME: &str = "npedit.json";

/// Largest number of denoising steps that a bundle may default to.
const MAX_STEPS: usize = 8;

/// Which model classes the bundle's files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Z-Image transformer, `AutoencoderKL`, Qwen3 text encoder.
    #[default]
    ZImage,
}

/// How one denoising step goes from `sigma` to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Re-noise the clean prediction; `eta` is the share of fresh noise (NP-Edit reference, "ddim").
    #[default]
    Stochastic,
    /// Follow the velocity, no fresh noise.
    Euler,
}

/// Which words a bundle was trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vocabulary {
    /// Those of a language.
    #[default]
    Open,
    /// Those of [`crate::world`] alone.
    World,
}

impl Vocabulary {
    /// The words of `text` that a bundle with this vocabulary has never seen, each once, in lower case.
    pub fn unknown_words(self, text: &str) -> Vec<String> {
        match self {
            Self::Open => Vec::new(),
            Self::World => world::unknown_words(text),
        }
    }
}

/// Settings of a bundle. A missing file, and each missing key, means the released checkpoint's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BundleSettings {
    pub family: Family,
    /// Images are edited at about this area, in square pixels.
    pub target_area_px: u64,
    /// Steps of a request that names none, 1..=8.
    pub default_steps: usize,
    /// Noise levels used when the step count equals their number: from 1.0, strictly falling, above 0 (the final 0 is implied).
    pub sigmas: Vec<f64>,
    /// Time shift of the schedule for any other step count, above 0.
    pub shift: f64,
    pub sampler: Sampler,
    /// Share of fresh noise of the stochastic sampler, 0..=1.
    pub eta: f64,
    /// Whether pad tokens are attended to, as the released checkpoint was trained.
    pub attend_padding: bool,
    /// The judge that belongs to this bundle: a directory inside it, or a model reference.
    pub judge: Option<String>,
    /// Instructions with other words are answered with a warning.
    pub vocabulary: Vocabulary,
}

impl Default for BundleSettings {
    fn default() -> Self {
        Self {
            family: Family::ZImage,
            target_area_px: 512 * 512,
            default_steps: 4,
            sigmas: vec![1.0, 0.9474, 0.8571, 0.6667],
            shift: 6.0,
            sampler: Sampler::Stochastic,
            eta: 1.0,
            attend_padding: true,
            judge: None,
            vocabulary: Vocabulary::Open,
        }
    }
}

/// Why an `npedit.json` was refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(
        "npedit.json is not valid: {source}; correct it, or remove it to use the released checkpoint's settings"
    )]
    Json {
        #[source]
        source: serde_json::Error,
    },
    #[error("npedit.json: {key} is {value}, it must be {expected}")]
    Value {
        key: &'static str,
        value: String,
        expected: &'static str,
    },
}

impl BundleSettings {
    /// Reads and validates the bytes of an `npedit.json`.
    ///
    /// # Errors
    /// Not JSON, an unknown key, a wrong type, or a value out of its range (the first one found).
    pub fn parse(json: &[u8]) -> Result<Self, BundleError> {
        let refused = |source| BundleError::Json { source };
        // A derived struct would take a list of its fields as well.
        serde_json::from_slice::<serde_json::Map<_, _>>(json).map_err(refused)?;
        let settings: Self = serde_json::from_slice(json).map_err(refused)?;
        settings.validate()?;
        Ok(settings)
    }

    fn validate(&self) -> Result<(), BundleError> {
        let sigmas_fall = self.sigmas.windows(2).all(|pair| pair[1] < pair[0]);
        let sigmas_in_range = self.sigmas.first() == Some(&1.0)
            && self.sigmas.len() <= MAX_STEPS
            && self.sigmas.iter().all(|s| *s > 0.0);
        check(
            self.target_area_px > 0,
            "target_area_px",
            &self.target_area_px,
            "at least 1",
        )?;
        check(
            (1..=MAX_STEPS).contains(&self.default_steps),
            "default_steps",
            &self.default_steps,
            "1..=8",
        )?;
        check(
            sigmas_fall && sigmas_in_range,
            "sigmas",
            &self.sigmas,
            "1 to 8 numbers that start at 1.0 and fall strictly, all above 0 (leave out the final 0)",
        )?;
        check(
            self.shift.is_finite() && self.shift > 0.0,
            "shift",
            &self.shift,
            "above 0",
        )?;
        check((0.0..=1.0).contains(&self.eta), "eta", &self.eta, "0..=1")
    }
}

fn check(
    holds: bool,
    key: &'static str,
    value: &impl std::fmt::Debug,
    expected: &'static str,
) -> Result<(), BundleError> {
    if holds {
        return Ok(());
    }
    Err(BundleError::Value {
        key,
        value: format!("{value:?}"),
        expected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_released_checkpoint() {
        let settings = BundleSettings::parse(b"{}").unwrap();
        assert_eq!(settings, BundleSettings::default());
        assert_eq!(settings.target_area_px, 262_144);
    }

    #[test]
    fn written_settings_read_back() {
        let settings = BundleSettings {
            target_area_px: 4096,
            sampler: Sampler::Euler,
            judge: Some("hf:OpenGVLab/InternVL3-1B-hf".into()),
            ..BundleSettings::default()
        };
        let json = serde_json::to_vec(&settings).unwrap();
        assert!(String::from_utf8_lossy(&json).contains(r#""family":"z-image""#));
        assert_eq!(BundleSettings::parse(&json).unwrap(), settings);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = BundleSettings::parse(br#"{"stepz": 4}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("stepz"), "{error}");
    }

    #[test]
    fn each_value_out_of_range_is_named() {
        for (json, key) in [
            (r#"{"target_area_px": 0}"#, "target_area_px"),
            (r#"{"default_steps": 0}"#, "default_steps"),
            (r#"{"default_steps": 9}"#, "default_steps"),
            (r#"{"sigmas": []}"#, "sigmas"),
            (r#"{"sigmas": [0.9, 0.5]}"#, "sigmas"),
            (r#"{"sigmas": [1.0, 0.5, 0.5]}"#, "sigmas"),
            (r#"{"sigmas": [1.0, 0.5, 0.0]}"#, "sigmas"),
            (r#"{"shift": 0}"#, "shift"),
            (r#"{"eta": 1.5}"#, "eta"),
        ] {
            let error = BundleSettings::parse(json.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(&format!("npedit.json: {key} is")),
                "{json}: {error}"
            );
        }
        for json in [
            r#"{"sampler": "heun"}"#,
            r#"{"family": "klein"}"#,
            r#"{"eta": "1"}"#,
            "[]",
            "",
        ] {
            assert!(BundleSettings::parse(json.as_bytes()).is_err(), "{json}");
        }
    }
}

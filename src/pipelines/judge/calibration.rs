//! Temperatures that make a judge's probabilities mean what they say (Guo et al., arXiv 1706.04599).
use serde::{Deserialize, Serialize};

use crate::pipelines::questions::QuestionKind;

/// What the margin of a question is divided by; 1 changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temperatures {
    pub edit: f64,
    pub preservation: f64,
}

impl Default for Temperatures {
    fn default() -> Self {
        Self {
            edit: 1.0,
            preservation: 1.0,
        }
    }
}

impl Temperatures {
    /// Of one kind; callers' own questions have none fitted.
    pub fn of(&self, kind: QuestionKind) -> f64 {
        match kind {
            QuestionKind::Edit => self.edit,
            QuestionKind::Preservation => self.preservation,
            QuestionKind::Custom => 1.0,
        }
    }
}

/// Temperatures, with the judge that they were fitted for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// SHA-256 of the judge's files, in hex.
    pub judge_sha256: String,
    pub temperatures: Temperatures,
}

/// A calibration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    #[error(
        "the calibration is not valid: {source}; write it anew with npedit judge-check --fit-temperature"
    )]
    Toml {
        #[source]
        source: toml::de::Error,
    },
    #[error("the calibration has a temperature of {value}; it must be a number above 0")]
    Temperature { value: f64 },
    #[error(
        "the calibration was fitted for the judge {found}, this one is {loaded}; fit it again with npedit judge-check --fit-temperature"
    )]
    OtherJudge { found: String, loaded: String },
}

impl Calibration {
    /// # Errors
    /// Not TOML of this form, or a temperature that is not above 0.
    pub fn parse(toml: &str) -> Result<Self, CalibrationError> {
        let parsed = toml::from_str(toml);
        let calibration: Self = parsed.map_err(|source| CalibrationError::Toml { source })?;
        let Temperatures { edit, preservation } = calibration.temperatures;
        match [edit, preservation]
            .into_iter()
            .find(|value| !(value.is_finite() && *value > 0.0))
        {
            Some(value) => Err(CalibrationError::Temperature { value }),
            None => Ok(calibration),
        }
    }

    /// The temperatures, for the judge that they belong to.
    ///
    /// # Errors
    /// Another judge.
    pub fn temperatures_for(&self, sha256: &str) -> Result<Temperatures, CalibrationError> {
        if self.judge_sha256 == sha256 {
            return Ok(self.temperatures);
        }
        Err(CalibrationError::OtherJudge {
            found: self.judge_sha256.clone(),
            loaded: sha256.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calibration_belongs_to_one_judge() {
        let toml = "judge_sha256 = \"ab\"\n[temperatures]\nedit = 2.0\npreservation = 0.5\n";
        let calibration = Calibration::parse(toml).unwrap();
        let temperatures = calibration.temperatures_for("ab").unwrap();
        assert_eq!(temperatures.of(QuestionKind::Edit), 2.0);
        assert_eq!(temperatures.of(QuestionKind::Custom), 1.0);
        assert!(matches!(
            calibration.temperatures_for("cd"),
            Err(CalibrationError::OtherJudge { .. })
        ));
        for bad in ["0.0", "-1.0", "nan", "inf"] {
            let toml = toml.replace("2.0", bad);
            assert!(matches!(
                Calibration::parse(&toml),
                Err(CalibrationError::Temperature { .. })
            ));
        }
        assert!(Calibration::parse("").is_err());
    }
}

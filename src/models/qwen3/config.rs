//! Shapes of a Qwen3 text encoder, in both layouts of `config.json`.
use serde::Deserialize;

use crate::models::{
    error::{LoadError, LoadResult, require},
    files::Files,
};

const FILE: &str = "text_encoder/config.json";
/// Longest text in tokens; the model's own limit is far above it.
pub(in crate::models) const MAX_TOKENS: usize = 512;

/// `text_encoder/config.json` of a transformers Qwen3 model.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub rms_norm_eps: f64,
    pub hidden_act: String,
    #[serde(default)]
    pub attention_bias: bool,
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// As published checkpoints have it.
    #[serde(default)]
    rope_theta: Option<f64>,
    /// As transformers v5 writes it.
    #[serde(default)]
    rope_parameters: Option<RopeParameters>,
    #[serde(default)]
    rope_scaling: Option<serde_json::Value>,
    #[serde(default)]
    use_sliding_window: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct RopeParameters {
    rope_theta: f64,
    #[serde(default)]
    rope_type: Option<String>,
}

impl Config {
    /// # Errors
    /// The file is missing, not JSON, or describes an encoder that npedit does not have.
    pub fn read(files: &Files) -> LoadResult<Self> {
        let config: Self =
            serde_json::from_slice(&files.read(FILE)?).map_err(|source| LoadError::Json {
                file: FILE.into(),
                source,
            })?;
        config.validate()?;
        Ok(config)
    }

    /// # Errors
    /// Numbers that contradict each other, or a variant that npedit does not have.
    pub fn validate(&self) -> LoadResult<()> {
        for (key, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
        ] {
            require(value > 0, (FILE, key), &value, "at least 1")?;
        }
        require(
            self.num_hidden_layers >= 2,
            (FILE, "num_hidden_layers"),
            &self.num_hidden_layers,
            "at least 2: the second-to-last layer is the text feature",
        )?;
        require(
            self.num_attention_heads
                .is_multiple_of(self.num_key_value_heads),
            (FILE, "num_key_value_heads"),
            &self.num_key_value_heads,
            &format!(
                "a divisor of num_attention_heads {}",
                self.num_attention_heads
            ),
        )?;
        require(
            self.head_dim > 0 && self.head_dim.is_multiple_of(2),
            (FILE, "head_dim"),
            &self.head_dim,
            "even and at least 2",
        )?;
        require(
            self.rms_norm_eps.is_finite() && self.rms_norm_eps > 0.0,
            (FILE, "rms_norm_eps"),
            &self.rms_norm_eps,
            "above 0",
        )?;
        require(
            self.hidden_act == "silu",
            (FILE, "hidden_act"),
            &self.hidden_act,
            "silu",
        )?;
        require(
            self.rope_scaling.is_none(),
            (FILE, "rope_scaling"),
            &self.rope_scaling,
            "null",
        )?;
        require(
            !self.use_sliding_window,
            (FILE, "use_sliding_window"),
            &self.use_sliding_window,
            "false",
        )?;
        let theta = self.theta();
        require(
            theta.is_some_and(|theta| theta.is_finite() && theta > 0.0),
            (FILE, "rope_theta"),
            &theta,
            "above 0, here or in rope_parameters with rope_type default",
        )
    }

    pub(in crate::models) fn theta(&self) -> Option<f64> {
        match &self.rope_parameters {
            None => self.rope_theta,
            Some(rope) => match rope.rope_type.as_deref() {
                None | Some("default") => Some(rope.rope_theta),
                Some(_) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(key: &str, value: serde_json::Value) -> Config {
        let mut json = json!({
            "vocab_size": 300, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "rms_norm_eps": 1e-6,
            "hidden_act": "silu", "rope_theta": 1e6, "rope_scaling": null,
        });
        json[key] = value;
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn both_layouts_name_the_same_base() {
        assert_eq!(config("rope_theta", json!(5e4)).theta(), Some(5e4));
        let new = config(
            "rope_parameters",
            json!({"rope_theta": 5e4, "rope_type": "default"}),
        );
        assert_eq!(new.theta(), Some(5e4));
    }

    #[test]
    fn what_npedit_does_not_have_is_an_error() {
        for (key, value) in [
            ("vocab_size", json!(0)),
            ("num_hidden_layers", json!(1)),
            ("num_key_value_heads", json!(3)),
            ("num_key_value_heads", json!(0)),
            ("head_dim", json!(3)),
            ("rms_norm_eps", json!(-1.0)),
            ("hidden_act", json!("gelu")),
            ("rope_theta", json!(null)),
            ("rope_scaling", json!({"factor": 4.0})),
            (
                "rope_parameters",
                json!({"rope_theta": 1e6, "rope_type": "yarn"}),
            ),
            ("use_sliding_window", json!(true)),
        ] {
            let error = config(key, value.clone()).validate().unwrap_err();
            assert!(
                matches!(error, LoadError::Config { .. }),
                "{key} = {value}: {error}"
            );
        }
    }
}

//! Shapes of an `AutoencoderKL`.
use serde::Deserialize;

use crate::models::{
    error::{LoadError, LoadResult, require},
    files::Files,
};

const FILE: &str = "vae/config.json";

/// `vae/config.json` of a diffusers `AutoencoderKL`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub in_channels: usize,
    pub out_channels: usize,
    pub latent_channels: usize,
    /// Channels of each level, finest first.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of an encoder level; a decoder level has one more.
    pub layers_per_block: usize,
    pub norm_num_groups: usize,
    pub scaling_factor: f64,
    #[serde(default)]
    pub shift_factor: Option<f64>,
    pub act_fn: String,
    pub down_block_types: Vec<String>,
    pub up_block_types: Vec<String>,
    #[serde(default = "yes")]
    pub mid_block_add_attention: bool,
    /// Diffusers' defaults for both are true, in older configs by absence.
    #[serde(default = "yes")]
    pub use_quant_conv: bool,
    #[serde(default = "yes")]
    pub use_post_quant_conv: bool,
}

fn yes() -> bool {
    true
}

impl Config {
    /// # Errors
    /// The file is missing, not JSON, or describes an autoencoder that npedit does not have.
    pub fn read(files: &Files) -> LoadResult<Self> {
        let config: Self =
            serde_json::from_slice(&files.read(FILE)?).map_err(|source| LoadError::Json {
                file: FILE.into(),
                source,
            })?;
        config.validate()?;
        Ok(config)
    }

    /// Pixels along one side of a latent pixel.
    pub fn downscale_factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// # Errors
    /// Numbers that contradict each other, or an autoencoder that npedit does not have.
    pub fn validate(&self) -> LoadResult<()> {
        let levels = self.block_out_channels.len();
        let groups = self.norm_num_groups;
        require(
            (1..=8).contains(&levels),
            (FILE, "block_out_channels"),
            &self.block_out_channels,
            "1 to 8 levels",
        )?;
        require(
            groups > 0
                && self
                    .block_out_channels
                    .iter()
                    .all(|c| *c > 0 && c.is_multiple_of(groups)),
            (FILE, "block_out_channels"),
            &self.block_out_channels,
            &format!("multiples of norm_num_groups {groups}"),
        )?;
        require(
            self.in_channels == 3,
            (FILE, "in_channels"),
            &self.in_channels,
            "3",
        )?;
        require(
            self.out_channels == 3,
            (FILE, "out_channels"),
            &self.out_channels,
            "3",
        )?;
        require(
            self.latent_channels > 0,
            (FILE, "latent_channels"),
            &self.latent_channels,
            "at least 1",
        )?;
        require(
            self.layers_per_block > 0,
            (FILE, "layers_per_block"),
            &self.layers_per_block,
            "at least 1",
        )?;
        require(
            self.scaling_factor.is_finite() && self.scaling_factor > 0.0,
            (FILE, "scaling_factor"),
            &self.scaling_factor,
            "above 0",
        )?;
        require(
            self.act_fn == "silu",
            (FILE, "act_fn"),
            &self.act_fn,
            "silu",
        )?;
        let all = |types: &[String], wanted: &str| {
            types.len() == levels && types.iter().all(|kind| kind == wanted)
        };
        require(
            all(&self.down_block_types, "DownEncoderBlock2D"),
            (FILE, "down_block_types"),
            &self.down_block_types,
            "DownEncoderBlock2D for each level",
        )?;
        require(
            all(&self.up_block_types, "UpDecoderBlock2D"),
            (FILE, "up_block_types"),
            &self.up_block_types,
            "UpDecoderBlock2D for each level",
        )?;
        for (key, present, wanted) in [
            (
                "mid_block_add_attention",
                self.mid_block_add_attention,
                true,
            ),
            ("use_quant_conv", self.use_quant_conv, false),
            ("use_post_quant_conv", self.use_post_quant_conv, false),
        ] {
            require(
                present == wanted,
                (FILE, key),
                &present,
                &wanted.to_string(),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A consistent configuration of toy size with two levels.
    pub(crate) fn toy() -> serde_json::Value {
        json!({
            "in_channels": 3, "out_channels": 3, "latent_channels": 2, "block_out_channels": [4, 8],
            "layers_per_block": 1, "norm_num_groups": 2, "scaling_factor": 0.5, "shift_factor": 0.1,
            "act_fn": "silu", "use_quant_conv": false, "use_post_quant_conv": false,
            "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
            "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
        })
    }

    #[test]
    fn what_npedit_does_not_have_is_an_error() {
        let validate = |key: &str, value: serde_json::Value| {
            let mut json = toy();
            json[key] = value;
            serde_json::from_value::<Config>(json).unwrap().validate()
        };
        assert!(validate("latent_channels", json!(16)).is_ok());
        for (key, value) in [
            ("block_out_channels", json!([])),
            ("block_out_channels", json!([4, 7])),
            ("block_out_channels", json!([4, 0])),
            ("block_out_channels", json!([4, 8, 8])),
            ("norm_num_groups", json!(0)),
            ("in_channels", json!(1)),
            ("latent_channels", json!(0)),
            ("layers_per_block", json!(0)),
            ("scaling_factor", json!(0.0)),
            ("act_fn", json!("gelu")),
            (
                "down_block_types",
                json!(["DownEncoderBlock2D", "AttnDownEncoderBlock2D"]),
            ),
            ("up_block_types", json!(["UpDecoderBlock2D"])),
            ("use_quant_conv", json!(true)),
            ("mid_block_add_attention", json!(false)),
        ] {
            let error = validate(key, value.clone()).unwrap_err();
            assert!(
                matches!(error, LoadError::Config { .. }),
                "{key} = {value}: {error}"
            );
        }
    }
}

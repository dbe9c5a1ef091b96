//! Shapes of a Z-Image transformer.
use serde::Deserialize;

use crate::models::{
    error::{LoadError, LoadResult},
    files::Files,
};

/// Sequences are padded to a multiple of this many tokens.
pub const TOKEN_MULTIPLE: usize = 32;

const FILE: &str = "transformer/config.json";
const MAX_TIME_WIDTH: usize = 256;

/// `transformer/config.json` of a diffusers `ZImageTransformer2DModel`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub all_patch_size: Vec<usize>,
    pub all_f_patch_size: Vec<usize>,
    /// Channels of the latents.
    pub in_channels: usize,
    /// Token width.
    pub dim: usize,
    pub n_layers: usize,
    /// Blocks of the noise refiner, and as many of the context refiner.
    pub n_refiner_layers: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub norm_eps: f64,
    pub qk_norm: bool,
    /// Width of the text encoder's features.
    pub cap_feat_dim: usize,
    pub rope_theta: f64,
    /// What a time in 0..=1 is multiplied with before the sinusoids.
    pub t_scale: f64,
    /// Channels of a head for each position axis: sequence, row, column.
    pub axes_dims: Vec<usize>,
    /// Width of the SigLIP features of the omni variant, which is another model.
    #[serde(default)]
    pub siglip_feat_dim: Option<usize>,
}

impl Config {
    /// # Errors
    /// The file is missing, not JSON, or its numbers contradict each other.
    pub fn read(files: &Files) -> LoadResult<Self> {
        let config: Self =
            serde_json::from_slice(&files.read(FILE)?).map_err(|source| LoadError::Json {
                file: FILE.into(),
                source,
            })?;
        config.validate()?;
        Ok(config)
    }

    /// Side of a square patch, in latent pixels.
    pub fn patch(&self) -> usize {
        self.all_patch_size[0]
    }

    pub(super) fn patch_features(&self) -> usize {
        self.patch() * self.patch() * self.in_channels
    }

    /// Diffusers' name of the one embedder and final layer: `{patch}-{frames a patch}`.
    pub(super) fn patch_key(&self) -> String {
        format!("{}-{}", self.all_patch_size[0], self.all_f_patch_size[0])
    }

    pub(super) fn head_dim(&self) -> usize {
        self.dim / self.n_heads
    }

    /// `int(dim / 3 * 8)`, in floats as upstream does it.
    pub(super) fn hidden(&self) -> usize {
        (self.dim as f64 / 3.0 * 8.0) as usize
    }

    /// Width of the time embedding that modulates the blocks.
    pub(super) fn time_width(&self) -> usize {
        self.dim.min(MAX_TIME_WIDTH)
    }

    /// # Errors
    /// Numbers that contradict each other, or a variant of the model that npedit does not have.
    pub fn validate(&self) -> LoadResult<()> {
        let one_patch =
            matches!(self.all_patch_size[..], [size] if size > 0) && self.all_f_patch_size == [1];
        require(
            one_patch,
            "all_patch_size",
            format!(
                "{:?} with all_f_patch_size {:?}",
                self.all_patch_size, self.all_f_patch_size
            ),
            "one size of at least 1, with all_f_patch_size [1]",
        )?;
        for (key, value) in [
            ("in_channels", self.in_channels),
            ("dim", self.dim),
            ("n_layers", self.n_layers),
            ("n_heads", self.n_heads),
            ("cap_feat_dim", self.cap_feat_dim),
        ] {
            require(value > 0, key, value.to_string(), "at least 1")?;
        }
        require(
            self.dim.is_multiple_of(self.n_heads),
            "n_heads",
            self.n_heads.to_string(),
            &format!("a divisor of dim {}", self.dim),
        )?;
        require(
            self.n_kv_heads == self.n_heads,
            "n_kv_heads",
            self.n_kv_heads.to_string(),
            &format!("n_heads {}", self.n_heads),
        )?;
        let axes_fit = self.axes_dims.len() == 3
            && self.axes_dims.iter().all(|dim| dim.is_multiple_of(2))
            && self
                .axes_dims
                .iter()
                .try_fold(0, |sum: usize, dim| sum.checked_add(*dim))
                == Some(self.head_dim());
        require(
            axes_fit,
            "axes_dims",
            format!("{:?}", self.axes_dims),
            &format!(
                "three even numbers that sum to the head width {}",
                self.head_dim()
            ),
        )?;
        for (key, value) in [
            ("norm_eps", self.norm_eps),
            ("rope_theta", self.rope_theta),
            ("t_scale", self.t_scale),
        ] {
            require(
                value.is_finite() && value > 0.0,
                key,
                value.to_string(),
                "above 0",
            )?;
        }
        require(
            self.siglip_feat_dim.is_none(),
            "siglip_feat_dim",
            format!("{:?}", self.siglip_feat_dim),
            "null: the omni variant is another model",
        )
    }
}

fn require(holds: bool, key: &'static str, value: String, expected: &str) -> LoadResult<()> {
    if holds {
        return Ok(());
    }
    Err(LoadError::Config {
        file: FILE.into(),
        key,
        value,
        expected: expected.into(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A consistent configuration of toy size.
    pub(crate) fn toy() -> serde_json::Value {
        json!({
            "all_patch_size": [2], "all_f_patch_size": [1], "in_channels": 4, "dim": 16, "n_layers": 2,
            "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2, "norm_eps": 1e-5, "qk_norm": true,
            "cap_feat_dim": 12, "rope_theta": 256.0, "t_scale": 1000.0, "axes_dims": [4, 2, 2],
        })
    }

    fn validate(key: &str, value: serde_json::Value) -> LoadResult<()> {
        let mut json = toy();
        json[key] = value;
        serde_json::from_value::<Config>(json).unwrap().validate()
    }

    #[test]
    fn the_released_feed_forward_width() {
        let config = |dim| Config {
            dim,
            ..serde_json::from_value(toy()).unwrap()
        };
        assert_eq!(
            [32, 40, 3840].map(|dim| config(dim).hidden()),
            [85, 106, 10240]
        );
    }

    #[test]
    fn contradictions_are_errors() {
        assert!(validate("dim", json!(16)).is_ok());
        for (key, value) in [
            ("axes_dims", json!([4, 2, 4])),
            ("axes_dims", json!([5, 1, 2])),
            ("axes_dims", json!([8])),
            ("axes_dims", json!([usize::MAX, 9, 0])),
            ("n_heads", json!(0)),
            ("n_heads", json!(3)),
            ("n_kv_heads", json!(1)),
            ("dim", json!(0)),
            ("all_patch_size", json!([])),
            ("all_patch_size", json!([0])),
            ("all_patch_size", json!([2, 4])),
            ("all_f_patch_size", json!([2])),
            ("rope_theta", json!(-1.0)),
            ("norm_eps", json!(0.0)),
            ("siglip_feat_dim", json!(1152)),
        ] {
            let error = validate(key, value.clone()).unwrap_err();
            assert!(
                matches!(error, LoadError::Config { .. }),
                "{key} = {value}: {error}"
            );
        }
    }
}

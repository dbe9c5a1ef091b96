//! Which weights, where and in what precision: what a receipt must name to be reproducible.
use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

use super::bundle::Placement;

/// Identity of a loaded bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleIdentity {
    /// The reference it was loaded by, for people.
    pub name: String,
    /// Hex sha256 over every file that the bundle is made of, the generator's weights included.
    pub sha256: String,
    /// Hash of the adapter beside the generator, where there is one.
    pub adapter: Option<String>,
    pub device: DeviceClass,
    pub dtypes: RoleDtypes,
}

/// Devices whose arithmetic agrees bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceClass {
    Cpu,
    Cuda,
    Metal,
}

/// Precision of each component, by its usual name (`f32`, `bf16`, ...).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleDtypes {
    pub transformer: String,
    pub text_encoder: String,
    pub vae: String,
}

impl From<&Device> for DeviceClass {
    fn from(device: &Device) -> Self {
        match device {
            Device::Cpu => Self::Cpu,
            Device::Cuda(_) => Self::Cuda,
            Device::Metal(_) => Self::Metal,
        }
    }
}

impl From<&Placement> for RoleDtypes {
    fn from(placement: &Placement) -> Self {
        let name = |dtype: DType| dtype.as_str().to_owned();
        Self {
            transformer: name(placement.transformer),
            text_encoder: name(placement.text_encoder),
            vae: name(placement.vae),
        }
    }
}

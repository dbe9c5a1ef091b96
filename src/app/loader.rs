//! Where models are found, and where they are placed.
use std::path::PathBuf;

use candle_core::{DType, Device};

use super::{AppError, device};
use crate::{
    config::{Config, DeviceChoice, DtypeChoice},
    models::{
        hub::{HubAccess, PullProgress},
        source::ModelRef,
    },
};

/// Loads the models that the settings name, all on one device.
pub struct Loader<'a> {
    pub(super) config: &'a Config,
    pub(super) access: HubAccess,
    pub(super) progress: &'a dyn PullProgress,
    pub(super) device: Device,
}

impl<'a> Loader<'a> {
    /// # Errors
    /// The device is not there.
    pub fn new(config: &'a Config, progress: &'a dyn PullProgress) -> Result<Self, AppError> {
        let cuda = || device::cuda().map_err(|source| AppError::NoCuda { source });
        let device = match config.model.device {
            DeviceChoice::Cpu => Device::Cpu,
            DeviceChoice::Cuda => cuda()?,
            DeviceChoice::Auto => cuda().unwrap_or(Device::Cpu),
        };
        Ok(Self {
            config,
            access: HubAccess::from_env(config.model.offline),
            progress,
            device,
        })
    }

    pub(super) fn dtype(&self, choice: DtypeChoice) -> DType {
        match choice {
            DtypeChoice::F32 => DType::F32,
            DtypeChoice::Bf16 => DType::BF16,
            DtypeChoice::Auto if self.device.is_cpu() => DType::F32,
            DtypeChoice::Auto => DType::BF16,
        }
    }
}

/// The reference that the setting `key` holds.
pub(super) fn parse(key: &'static str, text: &str) -> Result<ModelRef, AppError> {
    text.parse()
        .map_err(|source| AppError::Reference { key, source })
}

/// What clients see: never where on this machine a model lies.
pub(super) fn name(reference: &ModelRef) -> String {
    match reference {
        ModelRef::Hub(hub) => hub.to_string(),
        ModelRef::Local(path) => {
            let absolute: PathBuf = path.canonicalize().unwrap_or_else(|_| path.clone());
            absolute.file_name().map_or_else(
                || "local".to_owned(),
                |name| name.to_string_lossy().into_owned(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_do_not_see_directories_of_the_server() {
        assert_eq!(name(&ModelRef::Local("/srv/models/mine".into())), "mine");
        assert_eq!(name(&"hf:a/b@v1".parse().unwrap()), "hf:a/b@v1");
    }
}

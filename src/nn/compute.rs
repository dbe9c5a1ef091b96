//! Where and in what precision a component runs.
use candle_core::{DType, Device};

/// Device and element type of one component.
#[derive(Debug, Clone)]
pub struct Compute {
    pub device: Device,
    pub dtype: DType,
}

impl Compute {
    /// Single precision on the host.
    pub fn cpu() -> Self {
        Self {
            device: Device::Cpu,
            dtype: DType::F32,
        }
    }
}

//! Weights at half their bytes.
use std::path::Path;

use candle_core::{DType, Device, safetensors};

use super::RunResult;

/// Writes the float32 tensors of `weights` as float16 to `out`; others stay as they are.
///
/// # Errors
/// Files that cannot be read or written.
pub fn halve(weights: &Path, out: &Path) -> RunResult<()> {
    let mut tensors = safetensors::load(weights, &Device::Cpu)?;
    for tensor in tensors.values_mut().filter(|t| t.dtype() == DType::F32) {
        *tensor = tensor.to_dtype(DType::F16)?;
    }
    Ok(safetensors::save(&tensors, out)?)
}

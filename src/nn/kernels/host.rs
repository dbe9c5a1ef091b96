//! Reading tensors that lie in host memory.
use candle_core::{DType, Layout, Result, Storage, Tensor, bail};

use super::real::Real;

/// Whether the kernels take `x` as it is.
pub(crate) fn is_host_float(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// Whether the kernels take `x` after widening it to single precision.
pub(crate) fn is_host_half(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F16 | DType::BF16)
}

/// The values from the layout's first element on; the layout's strides say which of them belong to the tensor.
pub(crate) fn values<'a, T: Real>(storage: &'a Storage, layout: &Layout) -> Result<&'a [T]> {
    match storage {
        Storage::Cpu(storage) => Ok(&T::cpu_storage_as_slice(storage)?[layout.start_offset()..]),
        _ => bail!("a host kernel was given a tensor of another device"),
    }
}

/// Calls `function::<float>(arguments)` for the float of `$x`.
macro_rules! for_float {
    ($x:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $x.dtype() {
            candle_core::DType::F32 => $function::<f32>($($argument),*),
            candle_core::DType::F64 => $function::<f64>($($argument),*),
            other => candle_core::bail!("host kernels take f32 and f64, not {other:?}"),
        }
    };
}
pub(crate) use for_float;

//! The GPU, set up for many small operations.
use candle_core::{Device, Result};

/// The first CUDA device. Its driver is asked for less around every operation: a training step of the tiny bundle makes thousands of
/// tensors, and cudarc made two events for each.
///
/// # Errors
/// There is none, or this build has no support for it.
pub(super) fn cuda() -> Result<Device> {
    let device = Device::new_cuda(0)?;
    #[cfg(feature = "cuda")]
    quicken(device.as_cuda_device()?)?;
    Ok(device)
}

#[cfg(feature = "cuda")]
#[expect(unsafe_code, reason = "the driver's settings have no safe interface")]
fn quicken(device: &candle_core::CudaDevice) -> Result<()> {
    use candle_core::cuda_backend::cudarc::driver::{result, sys};

    let context = device.cuda_stream().context().clone();
    let mut kept = u64::MAX;
    let failed = |source| candle_core::Error::Cuda(Box::new(source));
    // SAFETY: cudarc records and awaits events only where a device has several explicit streams, and candle makes none, so that
    // nothing is ordered less than before; the pool is the device's own, and the attribute that is set is a 64-bit number.
    unsafe {
        // two events a tensor, never recorded
        device.disable_event_tracking();
        // freed memory stays with the process instead of going back at every synchronisation
        let pool = result::device::get_default_mem_pool(context.cu_device()).map_err(failed)?;
        let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        let kept = std::ptr::from_mut(&mut kept).cast();
        result::mem_pool::set_attribute(pool, threshold, kept).map_err(failed)
    }
}

//! Bytes of a checkpoint to tensors, converted while they are read.
//!
//! Nothing but the finished tensor is held: a whole-file copy or a conversion after loading
//! would double the peak memory of the process.
use candle_core::{DType, Result, Tensor, WithDType};
use half::{bf16, f16};

use super::{Slice, Stored};
use crate::{models::error::LoadResult, nn::Compute};

const CHUNK_BYTES: usize = 1 << 20;

/// Reads one tensor in the dtype and onto the device of `compute`.
///
/// The outer error is the file's, the inner one the device's.
pub(super) fn tensor(slice: &Slice, compute: &Compute) -> LoadResult<Result<Tensor>> {
    match compute.dtype {
        DType::BF16 => place::<bf16>(slice, compute),
        DType::F16 => place::<f16>(slice, compute),
        DType::F64 => place::<f64>(slice, compute),
        _ => place::<f32>(slice, compute),
    }
}

/// A float that a stored element converts into, rounding to nearest even.
trait Element: WithDType {
    fn of_f32(value: f32) -> Self;
    fn of_bf16(value: bf16) -> Self;
    fn of_f16(value: f16) -> Self;
}

impl Element for f32 {
    fn of_f32(value: f32) -> Self {
        value
    }
    fn of_bf16(value: bf16) -> Self {
        value.to_f32()
    }
    fn of_f16(value: f16) -> Self {
        value.to_f32()
    }
}

impl Element for f64 {
    fn of_f32(value: f32) -> Self {
        value.into()
    }
    fn of_bf16(value: bf16) -> Self {
        value.into()
    }
    fn of_f16(value: f16) -> Self {
        value.into()
    }
}

impl Element for bf16 {
    fn of_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
    fn of_bf16(value: bf16) -> Self {
        value
    }
    fn of_f16(value: f16) -> Self {
        Self::from_f32(value.to_f32())
    }
}

impl Element for f16 {
    fn of_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
    fn of_bf16(value: bf16) -> Self {
        Self::from_f32(value.to_f32())
    }
    fn of_f16(value: f16) -> Self {
        value
    }
}

fn place<T: Element>(slice: &Slice, compute: &Compute) -> LoadResult<Result<Tensor>> {
    let span = span(&slice.shape, &slice.strides);
    let values = match slice.stored {
        Stored::F32 => read(slice, span, |bytes: [u8; 4]| {
            T::of_f32(f32::from_le_bytes(bytes))
        }),
        Stored::Bf16 => read(slice, span, |bytes: [u8; 2]| {
            T::of_bf16(bf16::from_le_bytes(bytes))
        }),
        Stored::F16 => read(slice, span, |bytes: [u8; 2]| {
            T::of_f16(f16::from_le_bytes(bytes))
        }),
    }?;
    let values = if slice.strides == contiguous(&slice.shape) {
        values
    } else {
        gather(&values, &slice.shape, &slice.strides)
    };
    Ok(Tensor::from_vec(
        values,
        slice.shape.as_slice(),
        &compute.device,
    ))
}

/// Reads `count` consecutive elements.
pub(super) fn read<T, const N: usize>(
    slice: &Slice,
    count: usize,
    convert: impl Fn([u8; N]) -> T,
) -> LoadResult<Vec<T>> {
    let mut values = Vec::with_capacity(count);
    let mut buffer = vec![0; CHUNK_BYTES.min(count * N)];
    let mut at = slice.start;
    while values.len() < count {
        let wanted = ((count - values.len()) * N).min(buffer.len());
        let part = &mut buffer[..wanted];
        slice.blob.read_at(at, part)?;
        values.extend(part.as_chunks::<N>().0.iter().map(|bytes| convert(*bytes)));
        at += wanted as u64;
    }
    Ok(values)
}

/// Row-major strides of `shape`, in elements.
pub(super) fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Elements from the first to the last one of a strided view; 0 if the view is empty.
pub(super) fn span(shape: &[usize], strides: &[usize]) -> usize {
    if shape.contains(&0) {
        return 0;
    }
    1 + shape
        .iter()
        .zip(strides)
        .map(|(size, stride)| (size - 1) * stride)
        .sum::<usize>()
}

/// Copies a strided view into row-major order.
pub(super) fn gather<T: Copy>(values: &[T], shape: &[usize], strides: &[usize]) -> Vec<T> {
    let mut offsets = vec![0];
    for (size, stride) in shape.iter().zip(strides) {
        offsets = offsets
            .iter()
            .flat_map(|offset| (0..*size).map(move |index| offset + index * stride))
            .collect();
    }
    offsets.iter().map(|offset| values[*offset]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_view_is_read_in_its_own_order() {
        let values = [0, 1, 2, 3, 4, 5];
        assert_eq!(gather(&values, &[3, 2], &[1, 3]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(span(&[3, 2], &[1, 3]), 6);
        assert_eq!(span(&[3, 0], &[1, 3]), 0);
        assert_eq!(span(&[], &[]), 1);
        assert_eq!(contiguous(&[2, 3, 4]), [12, 4, 1]);
    }
}

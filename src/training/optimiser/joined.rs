//! Small tensors end to end: a device then computes them in one launch, and a host without a pass for each.
use candle_core::{Result, Shape, Tensor};

/// Numbers of one run at most; a larger tensor is a run of its own.
const MOST: usize = 1 << 20;

/// Neighbours of one dtype, as many as fit into a run.
pub(in crate::training) fn runs<T>(items: Vec<T>, tensor: impl Fn(&T) -> &Tensor) -> Vec<Vec<T>> {
    let mut runs: Vec<(usize, Vec<T>)> = Vec::new();
    for item in items {
        let count = tensor(&item).elem_count();
        match runs.last_mut() {
            Some((held, run))
                if *held + count <= MOST
                    && run.last().map(|last| tensor(last).dtype())
                        == Some(tensor(&item).dtype()) =>
            {
                *held += count;
                run.push(item);
            }
            _ => runs.push((count, vec![item])),
        }
    }
    runs.into_iter().map(|(_, run)| run).collect()
}

/// All numbers of `tensors`, one after the other, `[N]`.
pub(in crate::training) fn join(tensors: &[Tensor]) -> Result<Tensor> {
    let flat = tensors.iter().map(Tensor::flatten_all);
    match tensors {
        [one] => one.flatten_all(),
        _ => Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 0),
    }
}

/// [`join`]ed tensors of these shapes, apart again.
pub(in crate::training) fn part<'a>(
    joined: &Tensor,
    shapes: impl Iterator<Item = &'a Shape>,
) -> Result<Vec<Tensor>> {
    let mut start = 0;
    let parts = shapes.map(|shape| {
        let own = joined.narrow(0, start, shape.elem_count())?;
        start += shape.elem_count();
        own.reshape(shape)
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn zeros(count: usize, dtype: DType) -> Tensor {
        Tensor::zeros(count, dtype, &Device::Cpu).unwrap()
    }

    #[test]
    fn runs_are_of_one_dtype_and_bounded() {
        let all = vec![
            zeros(3, DType::F32),
            zeros(MOST, DType::F32),
            zeros(1, DType::F32),
            zeros(2, DType::F32),
            zeros(2, DType::F64),
        ];
        let runs = runs(all, |tensor| tensor);
        let lengths: Vec<_> = runs.iter().map(Vec::len).collect();
        assert_eq!(lengths, [1, 1, 2, 1]);
    }

    #[test]
    fn what_is_joined_comes_apart_again() {
        let a = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
        let b = Tensor::new(&[5f32], &Device::Cpu).unwrap();
        let joined = join(&[a.t().unwrap(), b.clone()]).unwrap();
        assert_eq!(joined.to_vec1::<f32>().unwrap(), [1.0, 3.0, 2.0, 4.0, 5.0]);
        let parts = part(&joined, [a.shape(), b.shape()].into_iter()).unwrap();
        assert_eq!(parts[0].to_vec2::<f32>().unwrap(), [[1.0, 3.0], [2.0, 4.0]]);
        assert_eq!(parts[1].to_vec1::<f32>().unwrap(), [5.0]);
    }
}

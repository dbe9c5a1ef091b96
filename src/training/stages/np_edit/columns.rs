//! One value for each item of a pass.
use candle_core::{DType, Result, Tensor};

use crate::pipelines::noise::{Grid, NoiseDraw};

/// `[B, 1, 1, 1]` in the precision of `like`.
pub(super) fn column(values: impl Iterator<Item = f64>, like: &Tensor) -> Result<Tensor> {
    let values: Vec<f64> = values.collect();
    let flat = Tensor::new(values.as_slice(), like.device())?;
    flat.to_dtype(like.dtype())?
        .reshape((values.len(), 1, 1, 1))
}

/// Standard gaussian noise of the shape of `like` `[B, C, h, w]`, by one seed an item.
pub(super) fn noise_like(like: &Tensor, seeds: &[u64]) -> Result<Tensor> {
    let (_, channels, height, width) = like.dims4()?;
    let grid = Grid {
        channels,
        height,
        width,
    };
    let noise = NoiseDraw::from_seeds(seeds, 0, grid, like.device())?.initial;
    noise.to_dtype(like.dtype())
}

/// The values of a tensor of one dimension.
pub(super) fn in_double(values: &Tensor) -> Result<Vec<f64>> {
    values.to_dtype(DType::F64)?.to_vec1()
}

/// The value of a tensor of none.
pub(super) fn scalar(value: &Tensor) -> Result<f64> {
    value.to_dtype(DType::F64)?.to_scalar()
}

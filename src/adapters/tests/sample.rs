//! Adapters to test with.
use std::{collections::BTreeMap, path::Path};

use candle_core::{DType, Device, Tensor};

use crate::adapters::{Adapter, AdapterConfig, Pair, Scaling};

/// `shape` filled with numbers that all dtypes hold exactly, different from seed to seed.
pub(super) fn tensor(seed: u64, shape: (usize, usize), dtype: DType) -> Tensor {
    let values =
        (0..shape.0 * shape.1).map(|i| ((i as u64 * 7 + seed * 13) % 31) as f32 / 16.0 - 1.0);
    Tensor::from_iter(values, &Device::Cpu)
        .and_then(|x| x.reshape(shape)?.to_dtype(dtype))
        .unwrap()
}

pub(in crate::adapters) fn pair(seed: u64, shape: [usize; 2], rank: usize) -> Pair {
    let [output, input] = shape;
    Pair {
        a: tensor(seed, (rank, input), DType::F32),
        b: tensor(seed + 1, (output, rank), DType::F32),
        alpha: rank as f64,
    }
}

pub(super) fn config(scaling: Scaling) -> AdapterConfig {
    AdapterConfig {
        scaling,
        base: None,
    }
}

pub(in crate::adapters) fn adapter(
    pairs: impl IntoIterator<Item = (&'static str, Pair)>,
) -> Adapter {
    let pairs: BTreeMap<_, _> = pairs
        .into_iter()
        .map(|(name, pair)| (name.into(), pair))
        .collect();
    Adapter::new(pairs, config(Scaling::Standard)).unwrap()
}

/// Two modules of different shape, one rank.
pub(in crate::adapters) fn small() -> Adapter {
    adapter([
        ("layers.0.attention.to_q", pair(1, [6, 5], 2)),
        ("layers.0.feed_forward.w2", pair(2, [5, 8], 2)),
    ])
}

/// A file with tensors of these names and shapes, and these notes.
pub(super) fn file(path: &Path, tensors: &[(&str, &[usize])], notes: &[(&str, &str)]) {
    let tensors = tensors.iter().zip(1..).map(|((name, shape), seed)| {
        let elements = shape.iter().product::<usize>();
        let values = tensor(seed, (1, elements), DType::F32);
        (*name, values.reshape(*shape).unwrap())
    });
    let notes = notes
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    let bytes = safetensors::serialize(tensors, Some(notes.collect())).unwrap();
    std::fs::write(path, bytes).unwrap();
}

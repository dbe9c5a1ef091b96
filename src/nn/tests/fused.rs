//! Fused kernels against the composite formula in double precision, at awkward sizes, layouts and thread counts.
use candle_core::{DType, Tensor};

use super::probe::{Random, max_difference};
use crate::nn::*;

pub fn single(x: &Tensor) -> Tensor {
    x.to_dtype(DType::F32).unwrap()
}

/// What single precision may lose over a sum of `depth` products of unit variance.
fn rounding(depth: usize) -> f64 {
    2e-7 * depth.max(20) as f64
}

/// The same bytes from one thread and from two.
pub fn same_at_any_thread_count(f: impl Fn() -> Tensor + Sync) -> Tensor {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(&f)
    };
    let (one, two) = (run(1), run(2));
    assert_eq!(
        max_difference(&one, &two),
        0.0,
        "depends on the thread count"
    );
    two
}

#[test]
fn linear_at_odd_sizes() {
    let mut random = Random::new(21);
    for (rows, input, output) in [(1, 3, 5), (7, 70, 33), (61, 300, 65), (100, 5, 1100)] {
        let [x, w, b] =
            [&[rows, input][..], &[output, input], &[output]].map(|shape| random.single(shape));
        let expected = x
            .matmul(&w.t().unwrap())
            .unwrap()
            .broadcast_add(&b)
            .unwrap();
        let layer = Linear::new(single(&w), Some(single(&b)));
        let x = single(&x);
        let y = same_at_any_thread_count(|| layer.forward(&x).unwrap());
        assert!(max_difference(&y, &expected) < rounding(input));
    }
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    let mut random = Random::new(22);
    let layer = Linear::new(single(&random.tensor(&[40, 300])), None);
    let x = single(&random.tensor(&[3, 19, 300]));
    let together = layer.forward(&x).unwrap();
    for item in 0..3 {
        let alone = layer.forward(&x.narrow(0, item, 1).unwrap()).unwrap();
        assert_eq!(
            max_difference(&alone, &together.narrow(0, item, 1).unwrap()),
            0.0
        );
    }
}

#[test]
fn convolution_at_odd_sizes() {
    let mut random = Random::new(23);
    let down = Padding {
        top: 0,
        bottom: 1,
        left: 0,
        right: 1,
    };
    for (shape, outputs, side, stride, padding) in [
        ([2, 3, 5, 7], 4, 3, 1, 1.into()),
        ([1, 40, 9, 33], 17, 3, 1, 1.into()),
        ([1, 5, 70, 2], 3, 1, 1, 0.into()),
        ([2, 33, 13, 18], 6, 3, 2, down),
        ([1, 2, 1, 1], 2, 3, 1, 1.into()),
        ([1, 4, 30, 40], 2, 5, 3, 2.into()),
        ([2, 32, 9, 21], 61, 3, 1, 1.into()),
        ([1, 33, 6, 150], 32, 3, 1, 0.into()),
        ([1, 40, 3, 3], 32, 3, 1, down),
    ] {
        let x = random.single(&shape);
        let w = random.single(&[outputs, shape[1], side, side]);
        let b = random.single(&[outputs]);
        let padded = x
            .pad_with_zeros(2, padding.top, padding.bottom)
            .unwrap()
            .pad_with_zeros(3, padding.left, padding.right)
            .unwrap();
        let expected = padded
            .conv2d(&w, 0, stride, 1, 1)
            .unwrap()
            .broadcast_add(&b.reshape((1, outputs, 1, 1)).unwrap())
            .unwrap();
        let layer = Conv2d::new(single(&w), single(&b), stride, padding);
        let x = single(&x);
        let y = same_at_any_thread_count(|| layer.forward(&x).unwrap());
        // Winograd's transforms amplify rounding about tenfold (arXiv 1803.10986, F(4, 3))
        let winograd = (side, stride) == (3, 1) && shape[1].min(outputs) >= 32;
        let bound = rounding(shape[1] * side * side) * if winograd { 10.0 } else { 1.0 };
        let difference = max_difference(&y, &expected);
        assert!(difference < bound, "{shape:?} {difference}");
    }
}

#[test]
fn what_a_convolution_sees_is_what_would_have_been_stored() {
    let mut random = Random::new(28);
    for (batch, channels, outputs, height, width) in [
        (2, 36, 40, 5, 7),
        (1, 33, 32, 9, 70),
        (1, 33, 48, 1, 1),
        (2, 6, 5, 4, 3),
    ] {
        let x = single(&random.tensor(&[batch, channels, height, width]));
        let [scale, shift] = [0, 1].map(|_| single(&random.tensor(&[channels])));
        let norm = GroupNorm::new(scale, shift, 3, 1e-6);
        for padding in [Padding::symmetric(1), Padding::symmetric(2)] {
            let w = single(&random.tensor(&[outputs, channels, 3, 3]));
            let layer = Conv2d::new(w, single(&random.tensor(&[outputs])), 1, padding);
            let seen = same_at_any_thread_count(|| layer.forward_normal(&x, &norm).unwrap());
            let stored = layer.forward(&norm.forward_silu(&x).unwrap()).unwrap();
            assert_eq!(max_difference(&seen, &stored), 0.0);
            let seen = same_at_any_thread_count(|| layer.forward_enlarged(&x).unwrap());
            let stored = layer.forward(&upsample_nearest_2x(&x).unwrap()).unwrap();
            assert_eq!(max_difference(&seen, &stored), 0.0);
        }
    }
}

#[test]
fn a_window_larger_than_the_image_is_an_error() {
    let mut random = Random::new(24);
    let layer = Conv2d::new(random.tensor(&[1, 2, 3, 3]), random.tensor(&[1]), 1, 0);
    assert!(layer.forward(&random.tensor(&[1, 2, 2, 5])).is_err());
    assert!(layer.forward(&random.tensor(&[1, 3, 5, 5])).is_err());
}

/// `[B, S, H, D]` by the definition.
fn attention_by_definition(x: &[Tensor; 3], keys: Option<&Tensor>) -> Tensor {
    let heads_first = |t: &Tensor| t.transpose(1, 2).unwrap().contiguous().unwrap();
    let [q, k, v] = [0, 1, 2].map(|at| heads_first(&x[at]));
    let size = q.dim(3).unwrap() as f64;
    let scores = q.matmul(&k.t().unwrap().contiguous().unwrap()).unwrap();
    let mut weights = (scores / size.sqrt()).unwrap().exp().unwrap();
    if let Some(keys) = keys {
        let keys = keys.to_dtype(DType::F64).unwrap();
        let keys = keys.unsqueeze(1).unwrap().unsqueeze(1).unwrap();
        weights = weights.broadcast_mul(&keys).unwrap();
    }
    let totals = weights.sum_keepdim(3).unwrap();
    let value = weights.broadcast_div(&totals).unwrap().matmul(&v).unwrap();
    value.transpose(1, 2).unwrap().contiguous().unwrap()
}

#[test]
fn attention_at_odd_sizes() {
    let mut random = Random::new(25);
    for (batch, queries, tokens, heads, size) in
        [(1, 1, 1, 1, 3), (2, 37, 250, 3, 20), (1, 130, 121, 2, 64)]
    {
        let tensors = [queries, tokens, tokens].map(|s| random.single(&[batch, s, heads, size]));
        let x = [0, 1, 2].map(|at| single(&tensors[at]));
        let attend = |mask: &KeyMask| attention(&x[0], &x[1], &x[2], mask).unwrap();
        let y = same_at_any_thread_count(|| attend(&KeyMask::All));
        assert!(max_difference(&y, &attention_by_definition(&tensors, None)) < 4e-6);

        // the last key of the last block alone
        let mut only = vec![0u8; batch * tokens];
        (0..batch).for_each(|item| only[(item + 1) * tokens - 1] = 1);
        let keys = Tensor::from_vec(only, (batch, tokens), x[0].device()).unwrap();
        let y = attend(&KeyMask::Keys(keys.clone()));
        assert!(max_difference(&y, &attention_by_definition(&tensors, Some(&keys))) < 4e-6);
    }
}

#[test]
fn attention_reads_strided_heads() {
    let mut random = Random::new(26);
    let fused = single(&random.single(&[2, 9, 3 * 8]));
    let part = |at: usize| {
        let x = fused.narrow(2, at * 8, 8).unwrap();
        x.reshape((2, 9, 2, 4)).unwrap()
    };
    let heads_first = |at: usize| part(at).transpose(1, 2).unwrap().contiguous().unwrap();
    let views = [0, 1, 2].map(|at| heads_first(at).transpose(1, 2).unwrap());
    let strided = attention(&views[0], &views[1], &views[2], &KeyMask::All).unwrap();
    let copied = attention(&part(0), &part(1), &part(2), &KeyMask::All).unwrap();
    assert_eq!(max_difference(&strided, &copied), 0.0);
}

#[test]
fn a_mask_without_any_key_is_an_error() {
    let x = Random::new(27).tensor(&[1, 2, 1, 4]);
    let keys = Tensor::zeros((1, 2), DType::U8, x.device()).unwrap();
    assert!(attention(&x, &x, &x, &KeyMask::Keys(keys)).is_err());
}

#[test]
fn a_convolution_in_its_inputs_memory_gives_the_same() {
    let mut random = Random::new(29);
    for (batch, channels, outputs, height, width) in [
        (1, 40, 33, 9, 70),
        (2, 36, 36, 5, 7),
        (1, 6, 5, 4, 3),
        (2, 33, 34, 1, 50),
    ] {
        let image = |channels: usize, random: &mut Random| {
            single(&random.tensor(&[batch, channels, height, width]))
        };
        let layer = |side: usize, random: &mut Random| {
            let w = single(&random.tensor(&[outputs, channels, side, side]));
            Conv2d::new(w, single(&random.tensor(&[outputs])), 1, side / 2)
        };
        let (x, y) = (image(outputs, &mut random), image(channels, &mut random));
        let [scale, shift] = [0, 1].map(|_| single(&random.tensor(&[channels])));
        let norm = GroupNorm::new(scale, shift, if channels % 3 == 0 { 3 } else { 4 }, 1e-6);
        let conv = layer(3, &mut random);
        let sum = same_at_any_thread_count(|| {
            let x = Held::Alone(x.copy().unwrap());
            conv.forward_normal_onto(x, &y, &norm).unwrap()
        });
        let expected = (&x + conv.forward_normal(&y, &norm).unwrap()).unwrap();
        assert_eq!(max_difference(&sum, &expected), 0.0);

        let conv = layer(1, &mut random);
        let inside = same_at_any_thread_count(|| {
            let y = Held::Alone(y.copy().unwrap());
            conv.forward_within(y).unwrap()
        });
        assert_eq!(max_difference(&inside, &conv.forward(&y).unwrap()), 0.0);
    }
}

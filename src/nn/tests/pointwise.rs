//! Norms, activations, rotations and enlargement: single precision against plain formulas in double precision.
use candle_core::{D, Tensor};

use super::{
    fused::{same_at_any_thread_count, single},
    probe::{Random, check_gradients, max_difference},
};
use crate::nn::*;

#[test]
fn activations_of_small_and_large_numbers() {
    let values: Vec<f64> = (-400..400).map(|i| f64::from(i) * 0.25).collect();
    let x = Tensor::from_vec(values, (25, 32), &candle_core::Device::Cpu).unwrap();
    let up = Random::new(31).single(&[25, 32]);
    let silu_of = |x: &Tensor| (x / (x.neg().unwrap().exp().unwrap() + 1.0).unwrap()).unwrap();
    let y = silu(&single(&x)).unwrap();
    assert!(max_difference(&y, &silu_of(&x)) < 1e-5);
    let y = silu_mul(&single(&x), &single(&up)).unwrap();
    assert!(max_difference(&y, &(silu_of(&x) * &up).unwrap()) < 2e-5);
    let y = gelu(&single(&x)).unwrap();
    assert!(max_difference(&y, &x.gelu().unwrap()) < 1e-5);
}

#[test]
fn silu_of_unequal_shapes_is_an_error() {
    let mut random = Random::new(32);
    assert!(silu_mul(&random.tensor(&[2, 3]), &random.tensor(&[3, 2])).is_err());
}

#[test]
fn row_norms() {
    let mut random = Random::new(33);
    for shape in [[3, 1, 5], [2, 70, 33], [1, 9, 3000]] {
        let x = (random.single(&shape) + 3.0).unwrap();
        let x = single(&x).to_dtype(candle_core::DType::F64).unwrap();
        let width = shape[2];
        let (w, b) = (random.single(&[width]), random.single(&[width]));
        let narrow = single(&x);
        let root = (x.sqr().unwrap().mean_keepdim(D::Minus1).unwrap() + 1e-6).unwrap();
        let expected = x.broadcast_div(&root.sqrt().unwrap()).unwrap();
        let expected = expected.broadcast_mul(&w).unwrap();
        let layer = RmsNorm::new(single(&w), 1e-6);
        let y = same_at_any_thread_count(|| layer.forward(&narrow).unwrap());
        assert!(max_difference(&y, &expected) < 3e-6);

        let centred = x
            .broadcast_sub(&x.mean_keepdim(D::Minus1).unwrap())
            .unwrap();
        let root = (centred.sqr().unwrap().mean_keepdim(D::Minus1).unwrap() + 1e-6).unwrap();
        let normal = centred.broadcast_div(&root.sqrt().unwrap()).unwrap();
        let expected = normal.broadcast_mul(&w).unwrap().broadcast_add(&b).unwrap();
        let layer = LayerNorm::new(Some(single(&w)), Some(single(&b)), 1e-6);
        let y = layer.forward(&narrow).unwrap();
        assert!(max_difference(&y, &expected) < 1e-5);
        let y = LayerNorm::new(None, None, 1e-6).forward(&narrow).unwrap();
        assert!(max_difference(&y, &normal) < 1e-5);
    }
}

#[test]
fn each_token_gets_the_factor_of_its_run() {
    let mut random = Random::new(37);
    let x = single(&random.single(&[2, 40, 700]));
    let [first, second] = [0, 1].map(|_| single(&random.single(&[2, 700])));
    let factor = PerToken::new(vec![(first, 17), (second, 23)]);
    let norm = RmsNorm::new(single(&random.single(&[700])), 1e-6);
    let expected = (norm.forward(&x).unwrap() * factor.expand().unwrap()).unwrap();
    let y = norm.forward_times(&x, &factor).unwrap();
    assert!(max_difference(&y, &expected) < 1e-5);
    assert!(
        norm.forward_times(&x.narrow(1, 0, 39).unwrap(), &factor)
            .is_err()
    );
}

#[test]
fn group_norm_of_a_large_mean() {
    let mut random = Random::new(34);
    for (shape, groups) in [([2, 6, 5, 7], 3), ([1, 4, 40, 60], 2), ([1, 3, 1, 2], 3)] {
        let x = (random.single(&shape) + 50.0).unwrap();
        let x = single(&x).to_dtype(candle_core::DType::F64).unwrap();
        let channels = shape[1];
        let (w, b) = (random.single(&[channels]), random.single(&[channels]));
        let grouped = x.reshape((shape[0], groups, ())).unwrap();
        let centred = grouped
            .broadcast_sub(&grouped.mean_keepdim(2).unwrap())
            .unwrap();
        let root = (centred.sqr().unwrap().mean_keepdim(2).unwrap() + 1e-6).unwrap();
        let normal = centred.broadcast_div(&root.sqrt().unwrap()).unwrap();
        let normal = normal.reshape(&shape).unwrap();
        let per_channel = |t: &Tensor| t.reshape((1, channels, 1, 1)).unwrap();
        let expected = normal
            .broadcast_mul(&per_channel(&w))
            .unwrap()
            .broadcast_add(&per_channel(&b))
            .unwrap();
        let layer = GroupNorm::new(single(&w), single(&b), groups, 1e-6);
        let narrow = single(&x);
        let y = same_at_any_thread_count(|| layer.forward(&narrow).unwrap());
        assert!(max_difference(&y, &expected) < 3e-5);
        let y = layer.forward_silu(&narrow).unwrap();
        let expected = silu(&expected).unwrap();
        assert!(max_difference(&y, &expected) < 3e-5);
    }
}

#[test]
fn groups_that_do_not_divide_are_an_error() {
    let mut random = Random::new(35);
    let (w, x) = (random.tensor(&[5]), random.tensor(&[1, 5, 2, 2]));
    assert!(GroupNorm::new(w.clone(), w, 2, 1e-6).forward(&x).is_err());
}

#[test]
fn a_rotation_and_its_inverse() {
    let mut random = Random::new(36);
    let x = single(&random.single(&[2, 67, 3, 10]));
    let angle = single(&random.single(&[67, 5]));
    let (cos, sin) = (angle.cos().unwrap(), angle.sin().unwrap());
    let y = same_at_any_thread_count(|| rope_pairs(&x, &cos, &sin).unwrap());
    let pair = |t: &Tensor| {
        t.get(1)
            .unwrap()
            .get(66)
            .unwrap()
            .get(2)
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    let (before, after) = (pair(&x), pair(&y));
    let turn = angle.get(66).unwrap().to_vec1::<f32>().unwrap()[4];
    let expected = [
        before[8] * turn.cos() - before[9] * turn.sin(),
        before[8] * turn.sin() + before[9] * turn.cos(),
    ];
    assert!((after[8] - expected[0]).abs() < 1e-6 && (after[9] - expected[1]).abs() < 1e-6);
    let back = rope_pairs(&y, &cos, &sin.neg().unwrap()).unwrap();
    assert!(max_difference(&back, &x) < 1e-6);
    assert!(rope_pairs(&x, &cos.narrow(0, 0, 60).unwrap(), &sin).is_err());
}

#[test]
fn every_pixel_becomes_a_block() {
    let x = Tensor::new(&[[[[1f32, 2.0], [3.0, 4.0]]]], &candle_core::Device::Cpu).unwrap();
    let y = upsample_nearest_2x(&x.transpose(2, 3).unwrap()).unwrap();
    let rows = y.squeeze(0).unwrap().squeeze(0).unwrap();
    assert_eq!(
        rows.to_vec2::<f32>().unwrap(),
        [
            [1.0, 1.0, 3.0, 3.0],
            [1.0, 1.0, 3.0, 3.0],
            [2.0, 2.0, 4.0, 4.0],
            [2.0, 2.0, 4.0, 4.0]
        ]
    );
}

#[test]
fn half_the_size_by_the_largest() {
    let mut random = Random::new(41);
    for shape in [[2, 3, 4, 6], [1, 2, 5, 3]] {
        let x = random.tensor(&shape);
        check_gradients(&[x], |inputs| max_pool_2x(&inputs[0]));
    }
    let values = [1.0, 2.0, 9.0, 4.0, 5.0, 9.0, 3.0, 3.0, 3.0];
    let x = Tensor::from_slice(&values, (1, 1, 3, 3), &candle_core::Device::Cpu).unwrap();
    let x = candle_core::Var::from_tensor(&x).unwrap();
    let y = max_pool_2x(&x).unwrap();
    assert_eq!(y.flatten_all().unwrap().to_vec1::<f64>().unwrap(), [5.0]);
    // of equal values the first one takes all
    let tied = Tensor::full(7.0, (1, 1, 2, 2), &candle_core::Device::Cpu).unwrap();
    let tied = candle_core::Var::from_tensor(&tied).unwrap();
    let grads = max_pool_2x(&tied).unwrap().backward().unwrap();
    let grad = grads.get(&tied).unwrap().flatten_all().unwrap();
    assert_eq!(grad.to_vec1::<f64>().unwrap(), [1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn relu_passes_above_zero() {
    let x = candle_core::Var::new(&[-1.0, 0.0, 2.0], &candle_core::Device::Cpu).unwrap();
    let y = relu(&x).unwrap();
    assert_eq!(y.to_vec1::<f64>().unwrap(), [0.0, 0.0, 2.0]);
    let grads = y.sum_all().unwrap().backward().unwrap();
    let grad = grads.get(&x).unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(grad, [0.0, 0.0, 1.0]);
}

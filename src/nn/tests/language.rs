//! What only the judge's models use: causal grouped attention, rotation of halves, exact GELU, clamp, layer scale.
use candle_core::{Tensor, Var};

use super::{
    fused::{same_at_any_thread_count, single},
    probe::{Random, check_gradients, gradients_left, max_difference},
};
use crate::nn::*;

/// Keys and values with every head as often as queries have it.
fn repeated(x: &Tensor, heads: usize) -> Tensor {
    let (batch, tokens, groups, size) = x.dims4().unwrap();
    x.unsqueeze(3)
        .unwrap()
        .expand((batch, tokens, groups, heads / groups, size))
        .unwrap()
        .reshape((batch, tokens, heads, size))
        .unwrap()
}

/// The causal answer row by row: each query alone with the keys up to it.
fn causal_by_rows(q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
    let rows = (0..q.dim(1).unwrap()).map(|row| {
        let seen = |x: &Tensor| x.narrow(1, 0, row + 1).unwrap();
        let query = q.narrow(1, row, 1).unwrap();
        attention(&query, &seen(k), &seen(v), &KeyMask::All).unwrap()
    });
    Tensor::cat(&rows.collect::<Vec<_>>(), 1).unwrap()
}

#[test]
fn a_query_sees_nothing_that_comes_after_it() {
    let mut random = Random::new(61);
    for (tokens, heads, groups) in [(1, 2, 1), (7, 4, 2), (300, 6, 3)] {
        let q = random.tensor(&[2, tokens, heads, 8]);
        let [k, v] = [0, 1].map(|_| random.tensor(&[2, tokens, groups, 8]));
        let all = [repeated(&k, heads), repeated(&v, heads)];
        let expected = causal_by_rows(&q, &all[0], &all[1]);
        let narrow = [&q, &k, &v].map(single);
        let y = same_at_any_thread_count(|| {
            attention(&narrow[0], &narrow[1], &narrow[2], &KeyMask::Causal).unwrap()
        });
        assert!(max_difference(&y, &expected) < 4e-6, "{tokens} tokens");
    }
}

#[test]
fn grouped_causal_attention_has_its_gradient() {
    let mut random = Random::new(62);
    for (tokens, heads, groups) in [(5, 4, 2), (140, 2, 1)] {
        let inputs = [
            random.tensor(&[2, tokens, heads, 4]),
            random.tensor(&[2, tokens, groups, 4]),
            random.tensor(&[2, tokens, groups, 4]),
        ];
        check_gradients(&inputs, |x| {
            attention(&x[0], &x[1], &x[2], &KeyMask::Causal)
        });
    }
}

#[test]
fn the_last_queries_alone_get_the_same_answer() {
    let mut random = Random::new(69);
    for (tokens, queries) in [(9, 2), (400, 130), (300, 1)] {
        let q = random.tensor(&[1, tokens, 4, 8]);
        let [k, v] = [0, 1].map(|_| random.tensor(&[1, tokens, 2, 8]));
        let all = attention(&q, &k, &v, &KeyMask::Causal).unwrap();
        let last = |x: &Tensor| x.narrow(1, tokens - queries, queries).unwrap();
        let some = attention(&last(&q), &k, &v, &KeyMask::Causal).unwrap();
        assert_eq!(max_difference(&some, &last(&all)), 0.0);
    }
    let inputs = [[1, 7, 2, 4], [1, 150, 1, 4], [1, 150, 1, 4]].map(|shape| random.tensor(&shape));
    check_gradients(&inputs, |x| {
        attention(&x[0], &x[1], &x[2], &KeyMask::Causal)
    });
}

#[test]
fn causal_queries_are_among_the_keys() {
    let mut random = Random::new(63);
    let [k, q] = [2, 3].map(|tokens| random.tensor(&[1, tokens, 2, 4]));
    assert!(attention(&q, &k, &k, &KeyMask::Causal).is_err());
    let three = random.tensor(&[1, 2, 3, 4]);
    assert!(attention(&three, &k, &k, &KeyMask::Causal).is_err());
}

#[test]
fn halves_turn_like_complex_numbers() {
    let mut random = Random::new(64);
    let x = random.tensor(&[2, 35, 3, 8]);
    let angle = random.tensor(&[2, 35, 4]);
    let (cos, sin) = (angle.cos().unwrap(), angle.sin().unwrap());
    let y = rope_halves(&x, &cos, &sin).unwrap();
    let half = |t: &Tensor, at| t.narrow(3, at, 4).unwrap();
    let each = |t: &Tensor| t.unsqueeze(2).unwrap();
    let product = |a: &Tensor, b: &Tensor| a.broadcast_mul(b).unwrap();
    let first = product(&half(&x, 0), &each(&cos)) - product(&half(&x, 4), &each(&sin));
    let second = product(&half(&x, 0), &each(&sin)) + product(&half(&x, 4), &each(&cos));
    let expected = Tensor::cat(&[first.unwrap(), second.unwrap()], 3).unwrap();
    assert!(max_difference(&y, &expected) < 1e-12);
    // one item of the batch with its own angles alone
    let item = |t: &Tensor| t.narrow(0, 1, 1).unwrap();
    let alone = rope_halves(
        &item(&x),
        &angle.cos().unwrap().get(1).unwrap(),
        &sin.get(1).unwrap(),
    );
    assert_eq!(max_difference(&alone.unwrap(), &item(&y)), 0.0);
    check_gradients(&[x], |x| rope_halves(&x[0], &cos, &sin));
}

#[test]
fn gelu_in_its_exact_form() {
    let mut random = Random::new(65);
    let x = (random.tensor(&[3, 700]) * 3.0).unwrap();
    check_gradients(std::slice::from_ref(&x), |x| gelu_erf(&x[0]));
    let expected = x.gelu_erf().unwrap();
    assert!(max_difference(&gelu_erf(&x).unwrap(), &expected) < 1e-12);
    let y = gelu_erf(&single(&x)).unwrap();
    assert!(max_difference(&y, &expected) < 2e-6);
    let far = Tensor::new(&[-1e30f32, -9.0, 9.0, 1e30], x.device()).unwrap();
    let far = gelu_erf(&far).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(far, [-0.0, -0.0, 9.0, 1e30]);
}

#[test]
fn only_a_closed_clamp_keeps_the_gradient_on_the_edge() {
    let x = Tensor::new(&[-0.5f64, 0.0, 0.25, 1.0, 1.5], &candle_core::Device::Cpu).unwrap();
    let x = Var::from_tensor(&x).unwrap();
    for (clamp, passes) in [
        (
            clamp as fn(&Tensor, f64, f64) -> _,
            [0.0, 0.0, 1.0, 0.0, 0.0],
        ),
        (clamp_closed, [0.0, 1.0, 1.0, 1.0, 0.0]),
    ] {
        let y: Tensor = clamp(x.as_tensor(), 0.0, 1.0).unwrap();
        assert_eq!(y.to_vec1::<f64>().unwrap(), [0.0, 0.0, 0.25, 1.0, 1.0]);
        let grads = y.sum_all().unwrap().backward().unwrap();
        let grad = grads.get(x.as_tensor()).unwrap();
        assert_eq!(grad.to_vec1::<f64>().unwrap(), passes);
    }
}

#[test]
fn a_frozen_layer_scale_receives_no_gradient() {
    let mut random = Random::new(66);
    let (x, scale) = (random.tensor(&[2, 3, 4]), random.tensor(&[4]));
    let layer = LayerScale::new(scale.clone());
    check_gradients(std::slice::from_ref(&x), |x| layer.forward(&x[0]));
    check_gradients(&[x.clone(), scale], |x| {
        LayerScale::new(x[1].clone()).forward(&x[0])
    });
    assert_eq!(gradients_left(&x, |x| layer.forward(x)), 0);
}

/// Gradients of `<attention, probe>` in the dtype of the inputs.
fn attention_gradients(inputs: &[Tensor; 3], mask: &KeyMask) -> Vec<Tensor> {
    let vars = inputs.clone().map(|x| Var::from_tensor(&x).unwrap());
    let [q, k, v] = [0, 1, 2].map(|at: usize| vars[at].as_tensor());
    let y = attention(q, k, v, mask).unwrap();
    let probe = Random::new(68)
        .tensor(y.dims())
        .to_dtype(y.dtype())
        .unwrap();
    let loss = (y * probe).unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    let of = |var: &Var| grads.get(var.as_tensor()).unwrap().clone();
    vars.iter().map(of).collect()
}

#[test]
fn gradients_in_single_precision_are_those_in_double() {
    let mut random = Random::new(67);
    for (queries, tokens, causal) in [(530, 530, true), (1, 530, false), (530, 530, false)] {
        let inputs = [
            random.single(&[2, queries, 4, 64]),
            random.single(&[2, tokens, 2, 64]),
            random.single(&[2, tokens, 2, 64]),
        ];
        let seen = (0..2 * tokens).map(|key| u8::from(key < tokens || key % tokens < 200));
        let seen = Tensor::from_iter(seen, inputs[0].device()).unwrap();
        let mask = match causal {
            true => KeyMask::Causal,
            false => KeyMask::Keys(seen.reshape((2, tokens)).unwrap()),
        };
        let double = attention_gradients(&inputs, &mask);
        let narrow = inputs.each_ref().map(single);
        let single = attention_gradients(&narrow, &mask);
        for (at, (single, double)) in single.iter().zip(&double).enumerate() {
            let apart = max_difference(single, double);
            assert!(apart < 1e-4, "input {at} of {queries} queries: {apart}");
        }
    }
}

#[test]
fn gradients_of_very_low_scores_are_numbers() {
    // far below zero, so that a key which is not there would weigh infinitely much
    let mut random = Random::new(70);
    let near =
        |mean: f64, random: &mut Random| single(&(random.single(&[1, 35, 1, 4]) + mean).unwrap());
    let [q, k] = [40.0, -40.0].map(|mean| near(mean, &mut random));
    let inputs = [q, k, near(0.0, &mut random)];
    for mask in [KeyMask::All, KeyMask::Causal] {
        let grads = same_at_any_thread_count(|| {
            let grads = attention_gradients(&inputs, &mask);
            Tensor::cat(&grads, 1).unwrap()
        });
        let sum = grads.abs().unwrap().sum_all().unwrap();
        assert!(sum.to_scalar::<f32>().unwrap().is_finite());
    }
}

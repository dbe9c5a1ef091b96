//! Frozen weights leave no gradient behind, and layouts do not change values.
use candle_core::DType;

use super::probe::{Random, gradients_left, max_difference};
use crate::nn::*;

#[test]
fn frozen_weights_leave_no_gradient() {
    let mut random = Random::new(11);
    let [x, image] = [&[2, 3, 6][..], &[1, 6, 4, 4]].map(|shape| random.tensor(shape));
    let [w, b, square, kernel] =
        [&[6][..], &[6], &[6, 6], &[6, 6, 3, 3]].map(|shape| random.tensor(shape));
    let linear = Linear::new(square, Some(b.clone()));
    assert_eq!(gradients_left(&x, |x| linear.forward(x)), 0);
    let rms = RmsNorm::new(w.clone(), 1e-6);
    assert_eq!(gradients_left(&x, |x| rms.forward(x)), 0);
    let layer = LayerNorm::new(Some(w.clone()), Some(b.clone()), 1e-6);
    assert_eq!(gradients_left(&x, |x| layer.forward(x)), 0);
    let group = GroupNorm::new(w, b.clone(), 2, 1e-6);
    assert_eq!(gradients_left(&image, |x| group.forward_silu(x)), 0);
    let conv = Conv2d::new(kernel, b, 1, 1);
    assert_eq!(gradients_left(&image, |x| conv.forward(x)), 0);
}

#[test]
fn linear_reads_transposed_batches() {
    let mut random = Random::new(12);
    let x = random.tensor(&[2, 5, 3]).to_dtype(DType::F32).unwrap();
    let w = random.tensor(&[4, 5]).to_dtype(DType::F32).unwrap();
    let view = x.transpose(1, 2).unwrap();
    let layer = Linear::new(w, None);
    let copied = layer.forward(&view.contiguous().unwrap()).unwrap();
    assert_eq!(max_difference(&layer.forward(&view).unwrap(), &copied), 0.0);
}

#[test]
fn a_wrong_width_is_an_error() {
    let mut random = Random::new(13);
    let layer = Linear::new(random.tensor(&[4, 5]), None);
    assert!(layer.forward(&random.tensor(&[2, 6])).is_err());
}

//! Frozen weights leave no gradient behind, and layouts do not change values.
use candle_core::{DType, Tensor};

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
fn half_precision_on_the_host() {
    let mut random = Random::new(14);
    let half = |t: &Tensor| t.to_dtype(DType::BF16).unwrap();
    let [x, w, b] = [&[1, 2, 5, 6][..], &[3, 2, 3, 3], &[3]].map(|shape| random.single(shape));
    let y = Conv2d::new(half(&w), half(&b), 1, 1)
        .forward(&half(&x))
        .unwrap();
    assert_eq!(y.dtype(), DType::BF16);
    let expected = Conv2d::new(w, b, 1, 1).forward(&x).unwrap();
    assert!(max_difference(&y, &expected) < 0.15);

    let x = [0, 1, 2].map(|_| random.single(&[1, 7, 2, 4]));
    let y = attention(&half(&x[0]), &half(&x[1]), &half(&x[2]), &KeyMask::All).unwrap();
    assert_eq!(y.dtype(), DType::BF16);
    let expected = attention(&x[0], &x[1], &x[2], &KeyMask::All).unwrap();
    assert!(max_difference(&y, &expected) < 0.05);

    let x = random.single(&[2, 8]);
    let norm = RmsNorm::new(half(&random.single(&[8])), 1e-6);
    let y = silu(&norm.forward(&half(&x)).unwrap()).unwrap();
    assert_eq!(y.dtype(), DType::BF16);
    let y = Linear::new(half(&random.single(&[3, 8])), None)
        .forward(&y)
        .unwrap();
    assert_eq!((y.dtype(), y.dims()), (DType::BF16, &[2usize, 3][..]));
}

#[test]
fn a_wrong_width_is_an_error() {
    let mut random = Random::new(13);
    let layer = Linear::new(random.tensor(&[4, 5]), None);
    assert!(layer.forward(&random.tensor(&[2, 6])).is_err());
}

#[test]
fn a_frozen_feed_forward_gives_what_its_layers_give() {
    let mut random = Random::new(15);
    let x = random.single(&[2, 3, 6]);
    let narrow = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
    let layer = |shape: &[usize], random: &mut Random| {
        Linear::new(
            narrow(&random.single(shape)),
            Some(narrow(&random.single(&shape[..1]))),
        )
    };
    let [open, up] = [0, 1].map(|_| layer(&[8, 6], &mut random));
    let down = layer(&[6, 8], &mut random);
    let x = candle_core::Var::from_tensor(&narrow(&x)).unwrap();
    let tracked = x.as_tensor();
    for form in [GeluForm::Tanh, GeluForm::Erf] {
        let one = |x: &Tensor| gelu_feed_forward(x, form, [&open, &down]);
        assert_eq!(
            max_difference(&one(tracked).unwrap(), &one(&x.detach()).unwrap()),
            0.0
        );
        assert_eq!(gradients_left(tracked, one), 0);
    }
    let one = |x: &Tensor| swiglu(x, [&open, &up, &down]);
    assert_eq!(
        max_difference(&one(tracked).unwrap(), &one(&x.detach()).unwrap()),
        0.0
    );
    assert_eq!(gradients_left(tracked, one), 0);
}

//! Gradients of every operation.
use candle_core::Tensor;

use super::probe::{Random, check_gradients};
use crate::nn::*;

#[test]
fn activations() {
    let mut random = Random::new(1);
    let x = random.tensor(&[3, 7]);
    for f in [silu, gelu, gelu_erf, tanh] {
        check_gradients(std::slice::from_ref(&x), |x| f(&x[0]));
    }
    check_gradients(&[x, random.tensor(&[3, 7])], |x| silu_mul(&x[0], &x[1]));
}

#[test]
fn linear_frozen_lora_and_trained() {
    let mut random = Random::new(2);
    let [x, w, b] = [&[2, 3, 5][..], &[4, 5], &[4]].map(|shape| random.tensor(shape));
    let [a, up] = [[2, 5], [4, 2]].map(|shape| random.tensor(&shape));
    check_gradients(std::slice::from_ref(&x), |x| {
        Linear::new(w.clone(), Some(b.clone())).forward(&x[0])
    });
    check_gradients(&[x.clone(), a, up], |x| {
        let lora = Lora {
            a: x[1].clone(),
            b: x[2].clone(),
            scale: 0.7,
        };
        Linear::new(w.clone(), None).with_lora(lora).forward(&x[0])
    });
    check_gradients(&[x, w.clone(), b.clone()], |x| {
        Linear::new(x[1].clone(), Some(x[2].clone())).forward(&x[0])
    });
}

#[test]
fn norms() {
    let mut random = Random::new(3);
    let [x, w, b] = [&[2, 3, 6][..], &[6], &[6]].map(|shape| random.tensor(shape));
    let image = random.tensor(&[2, 6, 3, 5]);
    check_gradients(std::slice::from_ref(&x), |x| {
        RmsNorm::new(w.clone(), 1e-5).forward(&x[0])
    });
    check_gradients(&[x.clone(), w.clone()], |x| {
        RmsNorm::new(x[1].clone(), 1e-5).forward(&x[0])
    });
    check_gradients(std::slice::from_ref(&x), |x| {
        LayerNorm::new(None, None, 1e-6).forward(&x[0])
    });
    check_gradients(std::slice::from_ref(&x), |x| {
        LayerNorm::new(Some(w.clone()), Some(b.clone()), 1e-6).forward(&x[0])
    });
    check_gradients(&[x, w.clone(), b.clone()], |x| {
        LayerNorm::new(Some(x[1].clone()), Some(x[2].clone()), 1e-6).forward(&x[0])
    });
    let group = |w: &Tensor, b: &Tensor| GroupNorm::new(w.clone(), b.clone(), 3, 1e-6);
    check_gradients(std::slice::from_ref(&image), |x| {
        group(&w, &b).forward(&x[0])
    });
    check_gradients(std::slice::from_ref(&image), |x| {
        group(&w, &b).forward_silu(&x[0])
    });
    check_gradients(&[image, w.clone(), b.clone()], |x| {
        group(&x[1], &x[2]).forward_silu(&x[0])
    });
}

#[test]
fn a_convolution_of_what_is_not_stored() {
    let mut random = Random::new(9);
    for (channels, outputs) in [(3, 2), (33, 32)] {
        let x = random.tensor(&[2, channels, 3, 2]);
        let [w, b] = [&[outputs, channels, 3, 3][..], &[outputs]].map(|shape| random.tensor(shape));
        let [scale, shift] = [0, 1].map(|_| random.tensor(&[channels]));
        let layer = Conv2d::new(w.clone(), b, 1, 1);
        check_gradients(std::slice::from_ref(&x), |x| {
            let norm = GroupNorm::new(scale.clone(), shift.clone(), 3, 1e-6);
            layer.forward_normal(&x[0], &norm)
        });
        check_gradients(&[x.clone(), scale.clone(), shift.clone()], |x| {
            let norm = GroupNorm::new(x[1].clone(), x[2].clone(), 3, 1e-6);
            layer.forward_normal(&x[0], &norm)
        });
        check_gradients(&[x], |x| layer.forward_enlarged(&x[0]));
    }
}

#[test]
fn attention_with_and_without_mask() {
    let mut random = Random::new(4);
    let inputs: Vec<Tensor> = [3, 5, 5]
        .iter()
        .map(|s| random.tensor(&[2, *s, 2, 4]))
        .collect();
    let keys = Tensor::new(&[[1u8, 1, 0, 1, 1], [0, 0, 1, 0, 0]], inputs[0].device()).unwrap();
    for mask in [KeyMask::All, KeyMask::Keys(keys)] {
        check_gradients(&inputs, |x| attention(&x[0], &x[1], &x[2], &mask));
    }
}

#[test]
fn attention_over_several_blocks() {
    let mut random = Random::new(14);
    let inputs: Vec<Tensor> = [19, 130, 130]
        .iter()
        .map(|s| random.tensor(&[1, *s, 2, 4]))
        .collect();
    check_gradients(&inputs, |x| attention(&x[0], &x[1], &x[2], &KeyMask::All));
}

#[test]
fn rotary_embedding() {
    let mut random = Random::new(5);
    let x = random.tensor(&[2, 3, 2, 6]);
    let angle = random.tensor(&[3, 3]);
    let (cos, sin) = (angle.cos().unwrap(), angle.sin().unwrap());
    check_gradients(&[x], |x| rope_pairs(&x[0], &cos, &sin));
}

#[test]
fn convolutions() {
    let mut random = Random::new(6);
    let x = random.tensor(&[2, 3, 6, 5]);
    let b = random.tensor(&[4]);
    let down = Padding {
        top: 0,
        bottom: 1,
        left: 0,
        right: 1,
    };
    for (size, stride, padding) in [(1, 1, 0.into()), (3, 1, 1.into()), (3, 2, down)] {
        let w = random.tensor(&[4, 3, size, size]);
        check_gradients(std::slice::from_ref(&x), |x| {
            Conv2d::new(w.clone(), b.clone(), stride, padding).forward(&x[0])
        });
    }
    let w = random.tensor(&[4, 3, 3, 3]);
    check_gradients(&[x, w, b.clone()], |x| {
        Conv2d::new(x[1].clone(), x[2].clone(), 1, 1).forward(&x[0])
    });
}

#[test]
fn convolution_of_many_channels() {
    let mut random = Random::new(16);
    let x = random.tensor(&[1, 34, 5, 6]);
    let (w, b) = (random.tensor(&[33, 34, 3, 3]), random.tensor(&[33]));
    check_gradients(&[x], |x| {
        Conv2d::new(w.clone(), b.clone(), 1, 1).forward(&x[0])
    });
}

#[test]
fn upsampling_of_a_shared_input() {
    let x = Random::new(7).tensor(&[1, 2, 3, 2]);
    check_gradients(&[x], |x| {
        let other = x[0].sqr()?.mean_all()?;
        upsample_nearest_2x(&x[0])?.broadcast_add(&other)
    });
}

#[test]
fn modulation() {
    let mut random = Random::new(8);
    let [x, s] = [[2, 3, 4], [2, 1, 4]].map(|shape| random.tensor(&shape));
    check_gradients(&[x, s], |x| modulate(&x[0], &x[1]));
}

#[test]
fn norm_times_a_factor_per_token() {
    let mut random = Random::new(15);
    let x = random.tensor(&[2, 5, 4]);
    let norm = RmsNorm::new(random.tensor(&[4]), 1e-5);
    let [first, second] = [0, 1].map(|_| random.tensor(&[2, 4]));
    let factor = |a: &Tensor, b: &Tensor| PerToken::new(vec![(a.clone(), 2), (b.clone(), 3)]);
    check_gradients(std::slice::from_ref(&x), |x| {
        norm.forward_times(&x[0], &factor(&first, &second))
    });
    check_gradients(&[x, first.clone(), second.clone()], |x| {
        norm.forward_times(&x[0], &factor(&x[1], &x[2]))
    });
}

#[test]
fn feed_forwards() {
    let mut random = Random::new(17);
    let x = random.tensor(&[2, 3, 5]);
    let [open, up, down] = [[7, 5], [7, 5], [4, 7]].map(|shape| random.tensor(&shape));
    let [inner, outer] = [7, 4].map(|width| random.tensor(&[width]));
    for form in [GeluForm::Tanh, GeluForm::Erf] {
        let layers = |open: &Tensor| {
            [
                Linear::new(open.clone(), Some(inner.clone())),
                Linear::new(down.clone(), Some(outer.clone())),
            ]
        };
        check_gradients(std::slice::from_ref(&x), |x| {
            gelu_feed_forward(&x[0], form, layers(&open).each_ref())
        });
        check_gradients(&[x.clone(), open.clone()], |x| {
            gelu_feed_forward(&x[0], form, layers(&x[1]).each_ref())
        });
    }
    let layers = |up: &Tensor| [&open, up, &down].map(|weight| Linear::new(weight.clone(), None));
    check_gradients(std::slice::from_ref(&x), |x| {
        swiglu(&x[0], layers(&up).each_ref())
    });
    check_gradients(&[x.clone(), up.clone()], |x| {
        swiglu(&x[0], layers(&x[1]).each_ref())
    });
    let [a, b] = [[2, 5], [7, 2]].map(|shape| random.tensor(&shape));
    check_gradients(&[x, a, b], |x| {
        let lora = Lora {
            a: x[1].clone(),
            b: x[2].clone(),
            scale: 0.7,
        };
        let [open, up, down] = layers(&up);
        swiglu(&x[0], [&open.with_lora(lora), &up, &down])
    });
}

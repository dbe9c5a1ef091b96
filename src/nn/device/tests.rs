//! What runs on devices, here on the host in double precision, against the host's own kernels: values and gradients.
use candle_core::{DType, Device, Result, Tensor, Var};

use super::{attention::attention, gates::silu_mul, norm_groups::GroupNorm, norm_rows::RowNorm};
use crate::nn::{
    self, KeyMask,
    graft::graft,
    kernels::{
        norm::Then,
        rotate::{Pairing, rotate},
    },
    rope::on_device,
};

fn waves(shape: &[usize], seed: f64) -> Var {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|at| ((at + 1) as f64 * seed).sin() + 0.3 * (at as f64).cos());
    let flat = Tensor::from_iter(values, &Device::Cpu).unwrap();
    Var::from_tensor(&flat.reshape(shape).unwrap()).unwrap()
}

/// Both forms have the same value and the same gradient of every input.
fn alike(inputs: &[Var], forms: [&dyn Fn() -> Result<Tensor>; 2]) {
    let [ours, host] = forms.map(|form| {
        let y = form().unwrap();
        let pull = waves(y.dims(), 0.71).as_detached_tensor();
        let grads = (&y * pull).unwrap().sum_all().unwrap().backward().unwrap();
        let grads = inputs.iter().map(|input| grads.get(input).unwrap().clone());
        let mut all = vec![y.detach()];
        all.extend(grads);
        all
    });
    for (at, (ours, host)) in ours.iter().zip(&host).enumerate() {
        assert_eq!(ours.dims(), host.dims());
        let apart = (ours - host).unwrap().abs().unwrap();
        let most = apart.flatten_all().unwrap().max(0).unwrap();
        let most = most.to_scalar::<f64>().unwrap();
        assert!(most < 1e-10, "number {at} is {most} apart");
    }
}

#[test]
fn attention_is_the_hosts_with_every_mask_and_grouped_heads() {
    let q = waves(&[2, 5, 4, 6], 0.37);
    let [k, v] = [0.53, 0.91].map(|seed| waves(&[2, 7, 2, 6], seed));
    let inputs = [q.clone(), k.clone(), v.clone()];
    let all = [&q, &k, &v].map(|var| var.as_tensor());
    let host = |mask: KeyMask| move || nn::attention(all[0], all[1], all[2], &mask);
    alike(&inputs, [&|| attention(all, None), &host(KeyMask::All)]);
    let keys = Tensor::new(
        &[[1u8, 1, 0, 1, 1, 0, 1], [0, 1, 1, 1, 0, 1, 1]],
        &Device::Cpu,
    )
    .unwrap();
    let seen = keys.reshape((2, 1, 1, 7)).unwrap();
    alike(
        &inputs,
        [
            &|| attention(all, Some(&seen)),
            &host(KeyMask::Keys(keys.clone())),
        ],
    );
    let earlier = Tensor::tril2(7, candle_core::DType::U8, &Device::Cpu).unwrap();
    let seen = earlier.narrow(0, 2, 5).unwrap();
    alike(
        &inputs,
        [&|| attention(all, Some(&seen)), &host(KeyMask::Causal)],
    );
}

#[test]
fn gated_products_are_the_hosts() {
    let [gate, up] = [0.37, 0.53].map(|seed| waves(&[3, 8], seed));
    alike(
        &[gate.clone(), up.clone()],
        [&|| silu_mul(gate.as_tensor(), up.as_tensor()), &|| {
            nn::silu_mul(gate.as_tensor(), up.as_tensor())
        }],
    );
}

#[test]
fn norms_of_rows_are_the_hosts() {
    let x = waves(&[2, 3, 8], 0.37);
    let [weight, bias] = [0.53, 0.91].map(|seed| waves(&[8], seed));
    let rms = RowNorm {
        centred: false,
        eps: 1e-5,
    };
    alike(
        &[x.clone(), weight.clone()],
        [
            &|| {
                let value = rms.value(x.as_tensor(), Some(weight.as_tensor()), None)?;
                graft(
                    [x.as_tensor(), weight.as_tensor()],
                    value,
                    move |[x, w], grad| {
                        let back = rms.backward(x, grad)?;
                        Ok([Some(back.of_input(Some(w))?), Some(back.of_weight()?)])
                    },
                )
            },
            &|| nn::RmsNorm::new(weight.as_tensor().clone(), 1e-5).forward(x.as_tensor()),
        ],
    );
    let layer = RowNorm {
        centred: true,
        eps: 1e-5,
    };
    let tensors = [&x, &weight, &bias].map(|var| var.as_tensor());
    alike(
        &[x.clone(), weight.clone(), bias.clone()],
        [
            &|| {
                let [x, weight, bias] = tensors;
                let value = layer.value(x, Some(weight), Some(bias))?;
                graft(tensors, value, move |[x, w, _], grad| {
                    let back = layer.backward(x, grad)?;
                    Ok([
                        Some(back.of_input(Some(w))?),
                        Some(back.of_weight()?),
                        Some(back.of_bias()?),
                    ])
                })
            },
            &|| {
                let [x, weight, bias] = tensors.map(Tensor::clone);
                nn::LayerNorm::new(Some(weight), Some(bias), 1e-5).forward(&x)
            },
        ],
    );
}

#[test]
fn rotations_are_the_hosts() {
    let x = waves(&[2, 3, 4, 6], 0.37).as_detached_tensor();
    for shape in [&[3, 3][..], &[2, 3, 3]] {
        let angles = waves(shape, 0.53);
        let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
        for pairing in [Pairing::Neighbours, Pairing::Halves] {
            let ours = on_device(&x, &cos, &sin, pairing).unwrap();
            let host = rotate(&x, &cos, &sin, pairing).unwrap();
            let apart = (ours - host).unwrap().abs().unwrap().max_all().unwrap();
            assert!(apart.to_scalar::<f64>().unwrap() < 1e-12);
        }
    }
}

#[test]
fn the_single_kernel_norms_rows_like_the_chain() {
    let rms = RowNorm {
        centred: false,
        eps: 1e-5,
    };
    let [x, weight] = [waves(&[2, 3, 8], 0.37), waves(&[8], 0.53)];
    let single = |var: &Var| var.to_dtype(DType::F32).unwrap();
    let chain = rms.value(x.as_tensor(), Some(weight.as_tensor()), None);
    let ours = rms.value(
        &single(&x).t().unwrap().t().unwrap(),
        Some(&single(&weight)),
        None,
    );
    let apart = (ours.unwrap().to_dtype(DType::F64).unwrap() - chain.unwrap()).unwrap();
    let most = apart.abs().unwrap().max_all().unwrap().to_scalar::<f64>();
    assert!(most.unwrap() < 1e-5);
}

#[test]
fn norms_of_groups_are_the_hosts() {
    let x = waves(&[2, 6, 3, 4], 0.37);
    let [weight, bias] = [0.53, 0.91].map(|seed| waves(&[6], seed));
    let tensors = [&x, &weight, &bias].map(|var| var.as_tensor());
    for then in [Then::Nothing, Then::Silu] {
        let norm = GroupNorm {
            groups: 3,
            eps: 1e-6,
            then,
        };
        let host = nn::GroupNorm::new(tensors[1].clone(), tensors[2].clone(), 3, 1e-6);
        alike(
            &[x.clone(), weight.clone(), bias.clone()],
            [
                &|| {
                    let [x, weight, bias] = tensors;
                    let value = norm.value(x, [weight, bias])?;
                    graft(tensors, value, move |[x, weight, bias], grad| {
                        let back = norm.backward(x, [weight, bias], grad)?;
                        Ok([
                            Some(back.of_input()?),
                            Some(back.of_weight()?),
                            Some(back.of_bias()?),
                        ])
                    })
                },
                &|| match then {
                    Then::Nothing => host.forward(tensors[0]),
                    Then::Silu => host.forward_silu(tensors[0]),
                },
            ],
        );
    }
}

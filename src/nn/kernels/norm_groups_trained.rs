//! The gradients of a group norm whose weights are trained.
use candle_core::{Device, Result, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    norm::{Moments, sum1, sum2},
    norm_groups::GroupedNorm,
    real::Real,
    sums::added,
};

impl GroupedNorm {
    /// The gradients of `x [B, C, H, W]`, weight and bias `[C]` from that of the answer.
    pub(crate) fn gradients(
        self,
        x: &Tensor,
        affine: [&Tensor; 2],
        grad: &Tensor,
    ) -> Result<[Tensor; 3]> {
        for_float!(x, gradients(self, x, affine, grad))
    }
}

fn gradients<T: Real>(
    norm: GroupedNorm,
    x: &Tensor,
    [weight, bias]: [&Tensor; 2],
    grad: &Tensor,
) -> Result<[Tensor; 3]> {
    let (size, channels) = norm.sizes(x)?;
    let (shape, width) = (x.shape().clone(), x.dim(1)?);
    let (x, grad) = (x.contiguous()?, grad.contiguous()?);
    let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
    let (x, x_layout) = x.storage_and_layout();
    let (grad, grad_layout) = grad.storage_and_layout();
    let (weight, weight_layout) = weight.storage_and_layout();
    let (bias, bias_layout) = bias.storage_and_layout();
    let x = &values::<T>(&x, x_layout)?[..shape.elem_count()];
    let grad = &values::<T>(&grad, grad_layout)?[..shape.elem_count()];
    let affine = [
        values::<T>(&weight, weight_layout)?,
        values::<T>(&bias, bias_layout)?,
    ];
    let mut of_x = vec![T::ZERO; x.len()];
    let mut of_weight = vec![T::ZERO; x.len() / size * channels];
    let mut of_bias = of_weight.clone();
    let arch = Arch::new();
    let inputs = x.par_chunks(size).zip(grad.par_chunks(size));
    let own = of_weight.par_chunks_mut(channels);
    let own = own.zip(of_bias.par_chunks_mut(channels));
    let groups = of_x.par_chunks_mut(size).zip(own).zip(inputs);
    groups
        .enumerate()
        .for_each(|(at, ((of_x, (of_weight, of_bias)), (x, grad)))| {
            let first = at % norm.groups * channels;
            arch.dispatch(Backward {
                norm,
                inputs: [x, grad],
                affine: affine.map(|values| &values[first..first + channels]),
                of_x,
                of_affine: [of_weight, of_bias],
            });
        });
    let total = |parts: Vec<T>| {
        let total = added(parts.chunks_exact(width), width);
        Tensor::from_vec(total, width, &Device::Cpu)
    };
    Ok([
        Tensor::from_vec(of_x, shape, &Device::Cpu)?,
        total(of_weight)?,
        total(of_bias)?,
    ])
}

/// One group.
struct Backward<'a, T> {
    norm: GroupedNorm,
    /// The norm's input, the gradient of its answer.
    inputs: [&'a [T]; 2],
    affine: [&'a [T]; 2],
    of_x: &'a mut [T],
    /// Of the group's channels.
    of_affine: [&'a mut [T]; 2],
}

impl<T: Real> WithSimd for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let [x, grad] = self.inputs;
        let moments = Moments::centred(x, self.norm.eps);
        let count = T::of(x.len() as f64);
        let pixels = x.len() / self.affine[0].len();
        let plane = |channel: usize| channel * pixels..(channel + 1) * pixels;
        let (mut mean, mut along) = (T::ZERO, T::ZERO);
        let [weights, biases] = self.affine;
        for (channel, (weight, bias)) in weights.iter().zip(biases).enumerate() {
            let (x, grad) = (&x[plane(channel)], &grad[plane(channel)]);
            let of_norm = &mut self.of_x[plane(channel)];
            for ((of_norm, x), grad) in of_norm.iter_mut().zip(x).zip(grad) {
                let value = moments.normal(*x) * *weight + *bias;
                *of_norm = *grad * self.norm.then.slope(value);
            }
            let of_weight = sum2(of_norm, x, |grad, x| grad * moments.normal(x));
            let of_bias = sum1(of_norm, |grad| grad);
            self.of_affine[0][channel] = of_weight;
            self.of_affine[1][channel] = of_bias;
            mean += of_bias * *weight / count;
            along += of_weight * *weight / count;
        }
        for (channel, weight) in weights.iter().enumerate() {
            let of_x = self.of_x[plane(channel)].iter_mut();
            for (of_x, x) in of_x.zip(&x[plane(channel)]) {
                let normal = moments.normal(*x);
                *of_x = moments.inverse * (*of_x * *weight - mean - normal * along);
            }
        }
    }
}

//! Group norm of `[B, C, H, W]`, with the activation that follows it.
use candle_core::{Device, Result, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    host::{for_float, values},
    norm::{Channel, Moments, Then, sum1, sum2},
    real::Real,
    scratch::zeros,
};

/// A group norm and what follows it.
#[derive(Clone, Copy)]
pub(crate) struct GroupedNorm {
    pub groups: usize,
    pub eps: f64,
    pub then: Then,
}

impl GroupedNorm {
    /// `x [B, C, H, W]`; `affine` is weight and bias, `[C]` each. Host, not part of the graph.
    pub(crate) fn forward(self, x: &Tensor, affine: [&Tensor; 2]) -> Result<Tensor> {
        for_float!(x, forward(self, x, affine))
    }

    /// The gradient of `x` from that of the answer.
    pub(crate) fn backward(
        self,
        x: &Tensor,
        affine: [&Tensor; 2],
        grad: &Tensor,
    ) -> Result<Tensor> {
        for_float!(x, backward(self, x, affine, grad))
    }

    /// The norm of each channel of each item, `[B, C]`, for whoever applies it while reading `x`.
    pub(crate) fn channels<T: Real>(
        self,
        x: &Tensor,
        affine: [&Tensor; 2],
    ) -> Result<Vec<Channel<T>>> {
        let (size, channels) = self.sizes(x)?;
        let count = x.elem_count();
        let [weight, bias] = [affine[0].contiguous()?, affine[1].contiguous()?];
        let x = x.contiguous()?;
        let (x, x_layout) = x.storage_and_layout();
        let (weight, weight_layout) = weight.storage_and_layout();
        let (bias, bias_layout) = bias.storage_and_layout();
        let x = &values::<T>(&x, x_layout)?[..count];
        let weight = values::<T>(&weight, weight_layout)?;
        let bias = values::<T>(&bias, bias_layout)?;
        let arch = Arch::new();
        let groups = x.par_chunks(size).enumerate();
        let of_groups = groups.flat_map_iter(|(at, x)| {
            let moments = arch.dispatch(Take { x, eps: self.eps });
            let first = at % self.groups * channels;
            (first..first + channels).map(move |at| moments.channel(weight[at], bias[at]))
        });
        Ok(of_groups.collect())
    }

    /// Numbers of one group, channels of one group.
    pub(super) fn sizes(self, x: &Tensor) -> Result<(usize, usize)> {
        let (_, channels, height, width) = x.dims4()?;
        if self.groups == 0 || channels % self.groups != 0 {
            bail!(
                "{channels} channels do not divide into {} groups",
                self.groups
            )
        }
        let channels = channels / self.groups;
        Ok((channels * height * width, channels))
    }
}

fn forward<T: Real>(norm: GroupedNorm, x: &Tensor, [weight, bias]: [&Tensor; 2]) -> Result<Tensor> {
    let (size, channels) = norm.sizes(x)?;
    let shape = x.shape().clone();
    let (x, weight, bias) = (x.contiguous()?, weight.contiguous()?, bias.contiguous()?);
    let (x, x_layout) = x.storage_and_layout();
    let (weight, weight_layout) = weight.storage_and_layout();
    let (bias, bias_layout) = bias.storage_and_layout();
    let x = &values::<T>(&x, x_layout)?[..shape.elem_count()];
    let affine = [
        values::<T>(&weight, weight_layout)?,
        values::<T>(&bias, bias_layout)?,
    ];
    let mut y = zeros(x.len());
    let arch = Arch::new();
    y.par_chunks_mut(size)
        .zip(x.par_chunks(size))
        .enumerate()
        .for_each(|(at, (y, x))| {
            let first = at % norm.groups * channels;
            let affine = affine.map(|values| &values[first..first + channels]);
            arch.dispatch(Forward { norm, x, affine, y });
        });
    Tensor::from_vec(y, shape, &Device::Cpu)
}

fn backward<T: Real>(
    norm: GroupedNorm,
    x: &Tensor,
    [weight, bias]: [&Tensor; 2],
    grad: &Tensor,
) -> Result<Tensor> {
    let (size, channels) = norm.sizes(x)?;
    let shape = x.shape().clone();
    let (x, weight, bias, grad) = (
        x.contiguous()?,
        weight.contiguous()?,
        bias.contiguous()?,
        grad.contiguous()?,
    );
    let (x, x_layout) = x.storage_and_layout();
    let (weight, weight_layout) = weight.storage_and_layout();
    let (bias, bias_layout) = bias.storage_and_layout();
    let (grad, grad_layout) = grad.storage_and_layout();
    let x = &values::<T>(&x, x_layout)?[..shape.elem_count()];
    let grad = &values::<T>(&grad, grad_layout)?[..shape.elem_count()];
    let affine = [
        values::<T>(&weight, weight_layout)?,
        values::<T>(&bias, bias_layout)?,
    ];
    let mut y = zeros(x.len());
    let arch = Arch::new();
    let inputs = x.par_chunks(size).zip(grad.par_chunks(size));
    y.par_chunks_mut(size)
        .zip(inputs)
        .enumerate()
        .for_each(|(at, (y, (x, grad)))| {
            let first = at % norm.groups * channels;
            let affine = affine.map(|values| &values[first..first + channels]);
            arch.dispatch(Backward {
                norm,
                x,
                grad,
                affine,
                y,
            });
        });
    Tensor::from_vec(y, shape, &Device::Cpu)
}

/// One group.
struct Forward<'a, T> {
    norm: GroupedNorm,
    x: &'a [T],
    /// Weight and bias of the group's channels.
    affine: [&'a [T]; 2],
    y: &'a mut [T],
}

impl<T: Real> WithSimd for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let moments = Moments::centred(self.x, self.norm.eps);
        let [weight, bias] = self.affine;
        let pixels = self.x.len() / weight.len();
        let planes = self
            .y
            .chunks_exact_mut(pixels)
            .zip(self.x.chunks_exact(pixels));
        for ((y, x), (weight, bias)) in planes.zip(weight.iter().zip(bias)) {
            self.norm.then.of(&moments.channel(*weight, *bias), x, y);
        }
    }
}

/// Moments of one group.
struct Take<'a, T> {
    x: &'a [T],
    eps: f64,
}

impl<T: Real> WithSimd for Take<'_, T> {
    type Output = Moments<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Moments<T> {
        Moments::centred(self.x, self.eps)
    }
}

struct Backward<'a, T> {
    norm: GroupedNorm,
    x: &'a [T],
    grad: &'a [T],
    affine: [&'a [T]; 2],
    y: &'a mut [T],
}

impl<T: Real> WithSimd for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let moments = Moments::centred(self.x, self.norm.eps);
        let [weight, bias] = self.affine;
        let pixels = self.x.len() / weight.len();
        let count = T::of(self.x.len() as f64);
        let inputs = self
            .x
            .chunks_exact(pixels)
            .zip(self.grad.chunks_exact(pixels));
        let planes = self.y.chunks_exact_mut(pixels).zip(inputs);
        for ((y, (x, grad)), (weight, bias)) in planes.zip(weight.iter().zip(bias)) {
            for ((y, x), grad) in y.iter_mut().zip(x).zip(grad) {
                let slope = self.norm.then.slope(moments.normal(*x) * *weight + *bias);
                *y = *grad * slope * *weight;
            }
        }
        let mean = sum1(self.y, |grad| grad) / count;
        let along = sum2(self.y, self.x, |grad, x| grad * moments.normal(x)) / count;
        for (y, x) in self.y.iter_mut().zip(self.x) {
            *y = moments.inverse * (*y - mean - moments.normal(*x) * along);
        }
    }
}

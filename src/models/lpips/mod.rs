//! How different two pictures look: distances of VGG16's features (LPIPS, arXiv 1801.03924), version 0.1, spatially averaged.
use std::path::Path;

use candle_core::{D, Result, Tensor};

use super::{
    error::LoadResult,
    files::file_sha256,
    weights::{Scope, Weights},
};
use crate::nn::{Activations, Compute, Conv2d, Padding, max_pool_2x, relu};

/// Convolutions of each part of torchvision's `vgg16().features`: name, inputs, outputs. A part but the first begins with a
/// max-pool, and ends where features are compared.
const PARTS: [&[(usize, usize, usize)]; 5] = [
    &[(0, 3, 64), (2, 64, 64)],
    &[(5, 64, 128), (7, 128, 128)],
    &[(10, 128, 256), (12, 256, 256), (14, 256, 256)],
    &[(17, 256, 512), (19, 512, 512), (21, 512, 512)],
    &[(24, 512, 512), (26, 512, 512), (28, 512, 512)],
];
/// Of the network's training pictures, in [-1, 1].
const MEAN: [f64; 3] = [-0.030, -0.088, -0.188];
const SPREAD: [f64; 3] = [0.458, 0.448, 0.450];
/// Added to the length of a feature vector.
const EPS: f64 = 1e-10;

/// The network with one linear head for each part.
#[derive(Clone, Debug)]
pub struct Lpips {
    parts: Vec<Part>,
    /// `[1, C, 1, 1]` each
    heads: Vec<Tensor>,
    activations: Activations,
    sha256: String,
}

#[derive(Clone, Debug)]
struct Part {
    pooled: bool,
    convs: Vec<Conv2d>,
}

impl Lpips {
    /// Reads `features.N.weight`, `features.N.bias` (torchvision) and `lin0.model.1.weight` to `lin4` (lpips) from one file.
    ///
    /// # Errors
    /// The file cannot be read, or holds other tensors.
    pub fn load(path: &Path, compute: &Compute) -> LoadResult<Self> {
        Self::from_weights(Weights::file(path)?, file_sha256(path)?, compute)
    }

    fn from_weights(weights: Weights, sha256: String, compute: &Compute) -> LoadResult<Self> {
        let scope = weights.scope("", compute);
        let load = |(at, convs): (usize, &&[_])| Part::load(at > 0, convs, &scope);
        let parts = PARTS.iter().enumerate().map(load);
        let heads = PARTS.iter().enumerate().map(|(at, convs)| {
            let (_, _, channels) = convs[convs.len() - 1];
            scope.tensor(format!("lin{at}.model.1.weight"), &[1, channels, 1, 1])
        });
        let lpips = Self {
            parts: parts.collect::<LoadResult<_>>()?,
            heads: heads.collect::<LoadResult<_>>()?,
            activations: Activations::Keep,
            sha256,
        };
        weights.finish()?;
        Ok(lpips)
    }

    /// SHA-256 in hex of the file.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The same, with these activations in the backward pass.
    #[must_use]
    pub fn with_activations(self, activations: Activations) -> Self {
        Self {
            activations,
            ..self
        }
    }

    /// Distance of each pair of pictures, differentiable in both. `[B, 3, H, W]` in [-1, 1] to `[B]`
    ///
    /// # Errors
    /// Pictures of unequal shapes, or with a side below 16 pixels.
    pub fn distances(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let (mut a, mut b) = (self.scaled(a)?, self.scaled(b)?);
        let mut sum: Option<Tensor> = None;
        for (part, head) in self.parts.iter().zip(&self.heads) {
            (a, b) = (
                part.forward(&a, &self.activations)?,
                part.forward(&b, &self.activations)?,
            );
            let apart = (unit(&a)? - unit(&b)?)?.sqr()?;
            let apart = apart.broadcast_mul(head)?.sum(1)?;
            let mean = apart.flatten_from(1)?.mean(D::Minus1)?;
            sum = Some(match sum {
                Some(sum) => (sum + mean)?,
                None => mean,
            });
        }
        sum.map_or_else(|| candle_core::bail!("a network without parts"), Ok)
    }

    /// Pictures as the network takes them.
    fn scaled(&self, pixels: &Tensor) -> Result<Tensor> {
        let dtype = self.heads[0].dtype();
        let of = |values: [f64; 3]| -> Result<Tensor> {
            let values = Tensor::new(&values, pixels.device())?;
            values.to_dtype(dtype)?.reshape((1, 3, 1, 1))
        };
        pixels
            .to_dtype(dtype)?
            .broadcast_sub(&of(MEAN)?)?
            .broadcast_div(&of(SPREAD)?)
    }
}

impl Part {
    fn load(pooled: bool, convs: &[(usize, usize, usize)], scope: &Scope) -> LoadResult<Self> {
        let convs = convs.iter().map(|(at, inputs, outputs)| {
            let geometry = (1, Padding::symmetric(1));
            scope.conv2d(&format!("features.{at}"), [*outputs, *inputs, 3], geometry)
        });
        Ok(Self {
            pooled,
            convs: convs.collect::<LoadResult<_>>()?,
        })
    }

    /// `[B, C, H, W]`, half as large where it is pooled.
    fn forward(&self, x: &Tensor, activations: &Activations) -> Result<Tensor> {
        let part = self.clone();
        activations.segment([x], move |[x]| {
            let mut x = match part.pooled {
                true => max_pool_2x(x)?,
                false => x.clone(),
            };
            for conv in &part.convs {
                x = relu(&conv.forward(&x)?)?;
            }
            Ok(x)
        })
    }
}

/// Feature vectors of length 1. `[B, C, H, W]`
fn unit(x: &Tensor) -> Result<Tensor> {
    // where nothing was seen, the square root has no gradient of its own
    let length = (x.sqr()?.sum_keepdim(1)? + EPS * EPS)?.sqrt()?;
    x.broadcast_div(&(length + EPS)?)
}

#[cfg(test)]
mod tests;

//! Takes the tensors of one module and builds layers from them.
use std::fmt::Display;

use candle_core::Tensor;

use super::{Source, Weights, decode};
use crate::{
    models::error::{LoadError, LoadResult},
    nn::{Compute, Conv2d, GroupNorm, LayerNorm, Linear, Padding, RmsNorm},
};

/// The tensors below one prefix, placed on one device in one dtype.
#[derive(Clone)]
pub struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
    compute: &'a Compute,
}

impl<'a> Scope<'a> {
    pub(super) fn new(weights: &'a Weights, prefix: String, compute: &'a Compute) -> Self {
        Self {
            weights,
            prefix,
            compute,
        }
    }

    /// The view one module further down.
    pub fn at(&self, name: impl Display) -> Self {
        Self::new(self.weights, self.path(name), self.compute)
    }

    pub fn compute(&self) -> &Compute {
        self.compute
    }

    /// Whether the checkpoint has `name` and nobody took it yet.
    pub fn has(&self, name: impl Display) -> bool {
        self.weights.contains(&self.path(name))
    }

    /// Takes `name`, in the dtype and on the device of this view.
    ///
    /// # Errors
    /// The tensor is missing, has another shape, an unsupported dtype, or cannot be read.
    pub fn tensor(&self, name: impl Display, shape: &[usize]) -> LoadResult<Tensor> {
        let path = self.path(name);
        let source = self.weights.take(&path, shape)?;
        let placed = match &source {
            Source::Slice(slice) => decode::tensor(slice, self.compute)?,
            Source::Tensor(tensor) => tensor
                .to_device(&self.compute.device)
                .and_then(|t| t.to_dtype(self.compute.dtype)),
        };
        placed.map_err(|error| LoadError::Place {
            file: self.weights.file_of(&Ok(source)),
            tensor: path,
            source: Box::new(error),
        })
    }

    /// Checks that `name` is there with this shape, and leaves it unread: the model has it, this use of the model does not.
    ///
    /// # Errors
    /// The tensor is missing or has another shape.
    pub fn skip(&self, name: impl Display, shape: &[usize]) -> LoadResult<()> {
        self.weights.take(&self.path(name), shape).map(|_| ())
    }

    /// `name.weight` `[outputs, inputs]` and `name.bias` `[outputs]`.
    ///
    /// # Errors
    /// See [`Scope::tensor`].
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize) -> LoadResult<Linear> {
        let scope = self.at(name);
        let weight = scope.tensor("weight", &[outputs, inputs])?;
        let bias = scope.tensor("bias", &[outputs])?;
        Ok(Linear::new(weight, Some(bias)))
    }

    /// `name.weight` `[outputs, inputs]`.
    ///
    /// # Errors
    /// See [`Scope::tensor`].
    pub fn linear_no_bias(&self, name: &str, inputs: usize, outputs: usize) -> LoadResult<Linear> {
        let weight = self.at(name).tensor("weight", &[outputs, inputs])?;
        Ok(Linear::new(weight, None))
    }

    /// A convolution whose stride is its kernel, as a linear map of flattened patches: `name.weight` `[outputs, ..kernel]`
    /// and `name.bias` `[outputs]`.
    ///
    /// # Errors
    /// See [`Scope::tensor`].
    pub fn patch_linear(&self, name: &str, kernel: &[usize], outputs: usize) -> LoadResult<Linear> {
        let scope = self.at(name);
        let shape = [&[outputs], kernel].concat();
        let weight = scope.tensor("weight", &shape)?;
        let flat = weight.flatten_from(1).map_err(|source| LoadError::Place {
            file: self.weights.origin.clone(),
            tensor: scope.path("weight"),
            source: Box::new(source),
        })?;
        Ok(Linear::new(flat, Some(scope.tensor("bias", &[outputs])?)))
    }

    /// `name.weight` `[width]`.
    ///
    /// # Errors
    /// See [`Scope::tensor`].
    pub fn rms_norm(&self, name: &str, width: usize, eps: f64) -> LoadResult<RmsNorm> {
        Ok(RmsNorm::new(self.at(name).tensor("weight", &[width])?, eps))
    }

    /// `name.weight` and `name.bias` `[width]`.
    ///
    /// # Errors
    /// See [`Scope::tensor`].
    pub fn layer_norm(&self, name: &str, width: usize, eps: f64) -> LoadResult<LayerNorm> {
        let scope = self.at(name);
        let weight = scope.tensor("weight", &[width])?;
        let bias = scope.tensor("bias", &[width])?;
        Ok(LayerNorm::new(Some(weight), Some(bias), eps))
    }

    /// `name.weight` and `name.bias` `[channels]`.
    ///
    /// # Errors
    /// See [`Scope::tensor`].
    pub fn group_norm(&self, name: &str, channels: usize, groups: usize) -> LoadResult<GroupNorm> {
        const EPS: f64 = 1e-6; // diffusers' value in every VAE block
        let scope = self.at(name);
        let weight = scope.tensor("weight", &[channels])?;
        let bias = scope.tensor("bias", &[channels])?;
        Ok(GroupNorm::new(weight, bias, groups, EPS))
    }

    /// `name.weight` `[outputs, inputs, kernel, kernel]` and `name.bias` `[outputs]`.
    ///
    /// # Errors
    /// See [`Scope::tensor`].
    pub fn conv2d(
        &self,
        name: &str,
        shape: [usize; 3],
        geometry: (usize, Padding),
    ) -> LoadResult<Conv2d> {
        let [outputs, inputs, kernel] = shape;
        let (stride, padding) = geometry;
        let scope = self.at(name);
        let weight = scope.tensor("weight", &[outputs, inputs, kernel, kernel])?;
        let bias = scope.tensor("bias", &[outputs])?;
        Ok(Conv2d::new(weight, bias, stride, padding))
    }

    fn path(&self, name: impl Display) -> String {
        if self.prefix.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }
}

//! The two-layer feed-forward of vision towers and projectors.
use candle_core::{Result, Tensor};

use crate::{
    models::{
        error::{LoadError, LoadResult},
        weights::Scope,
    },
    nn::{Linear, gelu, gelu_erf},
};

/// Which GELU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    Tanh,
    Erf,
}

impl Activation {
    /// From the name that transformers gives it.
    pub(super) fn parse(key: &'static str, name: &str) -> LoadResult<Self> {
        match name {
            "gelu_pytorch_tanh" => Ok(Self::Tanh),
            "gelu" => Ok(Self::Erf),
            other => Err(LoadError::Config {
                file: "config.json".into(),
                key,
                value: format!("{other:?}"),
                expected: "gelu or gelu_pytorch_tanh".into(),
            }),
        }
    }
}

/// `second(activation(first(x)))`
#[derive(Clone, Debug)]
pub(super) struct FeedForward {
    pub first: Linear,
    pub second: Linear,
    pub activation: Activation,
}

impl FeedForward {
    /// The layers named `names`, `[inputs, inner, outputs]` wide, both with bias.
    pub(super) fn load(
        scope: &Scope,
        names: [&str; 2],
        [inputs, inner, outputs]: [usize; 3],
        activation: Activation,
    ) -> LoadResult<Self> {
        Ok(Self {
            first: scope.linear(names[0], inputs, inner)?,
            second: scope.linear(names[1], inner, outputs)?,
            activation,
        })
    }

    /// `[.., inputs]` to `[.., outputs]`
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.first.forward(x)?;
        let x = match self.activation {
            Activation::Tanh => gelu(&x)?,
            Activation::Erf => gelu_erf(&x)?,
        };
        self.second.forward(&x)
    }
}

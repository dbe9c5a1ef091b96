//! The two-layer feed-forward of vision towers and projectors.
use candle_core::{Result, Tensor};

use crate::{
    models::{
        error::{LoadError, LoadResult},
        weights::Scope,
    },
    nn::{GeluForm, Linear, gelu_feed_forward},
};

/// The GELU that transformers gives this name.
pub(super) fn gelu_form(key: &'static str, name: &str) -> LoadResult<GeluForm> {
    match name {
        "gelu_pytorch_tanh" => Ok(GeluForm::Tanh),
        "gelu" => Ok(GeluForm::Erf),
        other => Err(LoadError::Config {
            file: "config.json".into(),
            key,
            value: format!("{other:?}"),
            expected: "gelu or gelu_pytorch_tanh".into(),
        }),
    }
}

/// `second(gelu(first(x)))`
#[derive(Clone, Debug)]
pub(super) struct FeedForward {
    pub first: Linear,
    pub second: Linear,
    pub form: GeluForm,
}

impl FeedForward {
    /// The layers named `names`, `[inputs, inner, outputs]` wide, both with bias.
    pub(super) fn load(
        scope: &Scope,
        names: [&str; 2],
        [inputs, inner, outputs]: [usize; 3],
        form: GeluForm,
    ) -> LoadResult<Self> {
        Ok(Self {
            first: scope.linear(names[0], inputs, inner)?,
            second: scope.linear(names[1], inner, outputs)?,
            form,
        })
    }

    /// `[.., inputs]` to `[.., outputs]`
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        gelu_feed_forward(x, self.form, [&self.first, &self.second])
    }
}

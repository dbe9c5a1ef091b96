//! Noise levels as the blocks see them.
use std::ops::Range;

use candle_core::{D, DType, Result, Tensor};

use super::config::Config;
use crate::{
    models::{error::LoadResult, weights::Scope},
    nn::{Linear, PerToken, silu},
};

const SINUSOIDS: usize = 256;
const MAX_PERIOD: f64 = 10_000.0;
/// Upstream's hidden width, whatever the config says.
const HIDDEN: usize = 1024;

/// A value of each token's time: noisy, and for the first tokens of an edit clean.
#[derive(Clone, Debug)]
pub struct Times {
    /// At the noise level of the step. `[B, W]`
    pub noisy: Tensor,
    /// At sigma = 0 `[B, W]`, and how many leading tokens have it.
    pub clean: Option<(Tensor, usize)>,
}

impl Times {
    /// The same on both values.
    pub(super) fn map(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let clean = match &self.clean {
            Some((value, tokens)) => Some((f(value)?, *tokens)),
            None => None,
        };
        Ok(Self {
            noisy: f(&self.noisy)?,
            clean,
        })
    }

    /// The same on both values in one pass: `f` works row by row, and its parameters take part once.
    pub(super) fn rows(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let Some((clean, tokens)) = &self.clean else {
            return self.map(f);
        };
        let batch = self.noisy.dim(0)?;
        let both = f(&Tensor::cat(&[&self.noisy, clean], 0)?)?;
        Ok(Self {
            noisy: both.narrow(0, 0, batch)?,
            clean: Some((both.narrow(0, batch, batch)?, *tokens)),
        })
    }

    /// The same for the tokens of `wanted` alone.
    pub(super) fn of_tokens(&self, wanted: &Range<usize>) -> Self {
        let clean = self.clean.as_ref().and_then(|(value, leading)| {
            let leading = leading.saturating_sub(wanted.start).min(wanted.len());
            (leading > 0).then(|| (value.clone(), leading))
        });
        Self {
            noisy: self.noisy.clone(),
            clean,
        }
    }

    /// The clean value for the leading tokens of an edit, the noisy one for the rest of `tokens`.
    pub(super) fn per_token(self, tokens: usize) -> PerToken {
        match self.clean {
            Some((clean, leading)) => {
                PerToken::new(vec![(clean, leading), (self.noisy, tokens - leading)])
            }
            None => PerToken::new(vec![(self.noisy, tokens)]),
        }
    }
}

/// Sinusoids and a two-layer perceptron (diffusers `TimestepEmbedder`).
#[derive(Clone, Debug)]
pub(super) struct TimeEmbedder {
    first: Linear,
    second: Linear,
    scale: f64,
    dtype: DType,
}

impl TimeEmbedder {
    pub(super) fn load(config: &Config, scope: &Scope) -> LoadResult<Self> {
        Ok(Self {
            first: scope.linear("mlp.0", SINUSOIDS, HIDDEN)?,
            second: scope.linear("mlp.2", HIDDEN, config.time_width())?,
            scale: config.t_scale,
            dtype: scope.compute().dtype,
        })
    }

    /// `sigma` `[B]` to `[B, W]`.
    pub(super) fn forward(&self, sigma: &Tensor) -> Result<Tensor> {
        let waves = sinusoids(&model_time(sigma, self.scale, self.dtype)?)?.to_dtype(self.dtype)?;
        self.second.forward(&silu(&self.first.forward(&waves)?)?)
    }
}

/// What enters the sinusoids: `scale (1 - sigma)`, rounded to `dtype` as upstream does on its way. `[B]`
///
/// # Errors
/// The device refuses.
pub fn model_time(sigma: &Tensor, scale: f64, dtype: DType) -> Result<Tensor> {
    let time = sigma.affine(-1.0, 1.0)?.to_dtype(dtype)?;
    time * scale
}

/// `[B]` to cosines then sines `[B, SINUSOIDS]`, in single precision or wider.
fn sinusoids(time: &Tensor) -> Result<Tensor> {
    let dtype = if time.dtype() == DType::F64 {
        DType::F64
    } else {
        DType::F32
    };
    let half = SINUSOIDS / 2;
    // f32 steps as upstream: at time 1000 the last bit of a frequency is visible
    let frequencies = (0..half).map(|i| (-MAX_PERIOD.ln() as f32 * i as f32 / half as f32).exp());
    let frequencies = Tensor::from_iter(frequencies, time.device())?.to_dtype(dtype)?;
    let angles = time
        .to_dtype(dtype)?
        .unsqueeze(1)?
        .broadcast_mul(&frequencies.unsqueeze(0)?)?;
    Tensor::cat(&[angles.cos()?, angles.sin()?], D::Minus1)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn half_precision_rounds_the_time_where_upstream_does() {
        let sigmas = Tensor::new(&[1.0f32, 0.9474, 0.8571, 0.6667], &Device::Cpu).unwrap();
        let time = model_time(&sigmas, 1000.0, DType::BF16)
            .unwrap()
            .to_dtype(DType::F32)
            .unwrap();
        assert_eq!(time.to_vec1::<f32>().unwrap(), [0.0, 52.5, 143.0, 334.0]);
    }
}

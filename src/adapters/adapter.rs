//! The adapter itself.
use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};

use super::{AdapterError, AdapterId, id};
use crate::nn::{Compute, Lora};

/// The two factors of one module's branch.
#[derive(Debug, Clone)]
pub struct Pair {
    /// `[r, in]`
    pub a: Tensor,
    /// `[out, r]`
    pub b: Tensor,
    /// Strength of the branch before the rank is taken out of it; kept in single precision, as alpha tensors are.
    pub alpha: f64,
}

/// How a branch's scale follows from alpha and rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// `alpha / r` (arXiv 2106.09685).
    Standard,
    /// `alpha / sqrt(r)` (arXiv 2312.03732).
    RankStabilised,
}

/// What holds for all branches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterConfig {
    pub scaling: Scaling,
    /// Hash of the transformer that it was trained on; absent when it was trained elsewhere.
    pub base: Option<String>,
}

/// Low-rank branches by module, named as in the base's checkpoint (`layers.0.attention.to_q`). Never changes.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// Checked; on the host, contiguous, and no `Var` behind them.
    pairs: BTreeMap<String, Pair>,
    config: AdapterConfig,
    id: AdapterId,
}

impl Adapter {
    /// Copies the tensors, so that training on does not reach into the adapter.
    ///
    /// # Errors
    /// No pair at all, or one whose shapes, dtype or alpha make no branch.
    pub fn new(
        pairs: BTreeMap<String, Pair>,
        config: AdapterConfig,
    ) -> std::result::Result<Self, AdapterError> {
        if pairs.is_empty() {
            return Err(AdapterError::Empty);
        }
        let kept = pairs.into_iter().map(|(module, pair)| {
            check(&module, &pair)?;
            let kept = pair.on_host().map_err(|source| AdapterError::Tensor {
                module: module.clone(),
                source,
            })?;
            Ok((module, kept))
        });
        let pairs = kept.collect::<std::result::Result<_, AdapterError>>()?;
        let id = id::of(&pairs, config.scaling);
        Ok(Self { pairs, config, id })
    }

    /// What the adapter does, in one hash.
    pub fn id(&self) -> &AdapterId {
        &self.id
    }

    pub fn config(&self) -> &AdapterConfig {
        &self.config
    }

    /// On the host, by module.
    pub fn pairs(&self) -> &BTreeMap<String, Pair> {
        &self.pairs
    }

    /// Rank of all branches, where they have the same.
    pub fn rank(&self) -> Option<usize> {
        let mut ranks = self.pairs.values().map(Pair::rank);
        let first = ranks.next()?;
        ranks.all(|rank| rank == first).then_some(first)
    }

    /// Numbers that were trained.
    pub fn parameters(&self) -> usize {
        let pairs = self.pairs.values();
        pairs.map(|p| p.a.elem_count() + p.b.elem_count()).sum()
    }

    /// The branches as a transformer takes them.
    ///
    /// # Errors
    /// The device refuses.
    pub fn branches(&self, compute: &Compute) -> Result<BTreeMap<String, Lora>> {
        let branches = self.pairs.iter().map(|(module, pair)| {
            let lora = pair.placed(compute)?.branch(self.config.scaling);
            Ok((module.clone(), lora))
        });
        branches.collect()
    }

    /// The same branches, `factor` times as strong: another adapter, with another id.
    ///
    /// # Errors
    /// A factor that leaves no branch or an infinite one.
    pub fn scaled(&self, factor: f64) -> std::result::Result<Self, AdapterError> {
        let pairs = self.pairs.iter();
        let pairs = pairs.map(|(module, pair)| Ok((module.clone(), pair.scaled(factor)?)));
        let pairs = pairs.collect::<std::result::Result<_, AdapterError>>()?;
        let id = id::of(&pairs, self.config.scaling);
        Ok(Self {
            pairs,
            config: self.config.clone(),
            id,
        })
    }
}

impl Pair {
    pub fn rank(&self) -> usize {
        self.a.dims().first().copied().unwrap_or_default()
    }

    /// `[out, in]` of the weight beside which the pair stands.
    pub fn shape(&self) -> [usize; 2] {
        let first = |x: &Tensor, at: usize| x.dims().get(at).copied().unwrap_or_default();
        [first(&self.b, 0), first(&self.a, 1)]
    }

    fn scale(&self, scaling: Scaling) -> f64 {
        let rank = self.rank() as f64;
        match scaling {
            Scaling::Standard => self.alpha / rank,
            Scaling::RankStabilised => self.alpha / rank.sqrt(),
        }
    }

    /// The same pair, `factor` times as strong.
    pub(super) fn scaled(&self, factor: f64) -> std::result::Result<Self, AdapterError> {
        let alpha = f64::from((self.alpha * factor) as f32);
        if !factor.is_finite() || !is_alpha(alpha) {
            return Err(AdapterError::Factor { factor });
        }
        Ok(Self {
            alpha,
            ..self.clone()
        })
    }

    /// The same pair where a model computes.
    pub(super) fn placed(&self, compute: &Compute) -> Result<Self> {
        let place = |x: &Tensor| x.to_device(&compute.device)?.to_dtype(compute.dtype);
        Ok(Self {
            a: place(&self.a)?,
            b: place(&self.b)?,
            alpha: self.alpha,
        })
    }

    /// The pair as a linear layer takes it.
    pub(super) fn branch(self, scaling: Scaling) -> Lora {
        let scale = self.scale(scaling);
        Lora {
            a: self.a,
            b: self.b,
            scale,
        }
    }

    fn on_host(&self) -> Result<Self> {
        let keep = |x: &Tensor| x.detach().to_device(&Device::Cpu)?.contiguous()?.copy();
        Ok(Self {
            a: keep(&self.a)?,
            b: keep(&self.b)?,
            alpha: f64::from(self.alpha as f32),
        })
    }
}

fn is_alpha(alpha: f64) -> bool {
    let kept = alpha as f32;
    kept.is_finite() && kept != 0.0
}

fn check(module: &str, pair: &Pair) -> std::result::Result<(), AdapterError> {
    let (a, b) = (pair.a.dims(), pair.b.dims());
    if a.len() == 4 || b.len() == 4 {
        return Err(AdapterError::Unsupported {
            feature: format!("a convolution's branch on {module}"),
            advice: "train the linear layers alone",
        });
    }
    let fits = matches!((a, b), (&[rank, input], &[output, same])
        if rank == same && rank > 0 && input > 0 && output > 0);
    if !fits {
        return Err(AdapterError::Ranks {
            module: module.into(),
            a: a.to_vec(),
            b: b.to_vec(),
        });
    }
    if !is_alpha(pair.alpha) {
        return Err(AdapterError::Alpha {
            module: module.into(),
            alpha: pair.alpha,
        });
    }
    for tensor in [&pair.a, &pair.b] {
        if !matches!(tensor.dtype(), DType::F32 | DType::BF16 | DType::F16) {
            return Err(AdapterError::Dtype {
                tensor: module.into(),
                dtype: format!("{:?}", tensor.dtype()),
            });
        }
    }
    Ok(())
}

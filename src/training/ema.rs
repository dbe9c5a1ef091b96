//! Exponential moving average of the parameters.
use std::collections::BTreeMap;

use candle_core::{Result, Tensor};

use super::optimiser::{Parameters, joined};

/// Averages by parameter.
#[derive(Clone, Debug)]
pub struct Ema {
    decay: f64,
    averages: BTreeMap<String, Tensor>,
}

impl Ema {
    /// Starts at the parameters' present values; `decay` in `[0, 1)`.
    ///
    /// # Errors
    /// The device refuses.
    pub fn new(decay: f64, parameters: &Parameters) -> Result<Self> {
        let copies = parameters
            .iter()
            .map(|(name, var)| Ok((name.clone(), var.copy()?.detach())));
        Ok(Self {
            decay,
            averages: copies.collect::<Result<_>>()?,
        })
    }

    /// Goes on from the averages of a checkpoint.
    pub fn resume(decay: f64, averages: BTreeMap<String, Tensor>) -> Self {
        Self { decay, averages }
    }

    pub fn averages(&self) -> &BTreeMap<String, Tensor> {
        &self.averages
    }

    /// `average <- decay average + (1 - decay) parameter`.
    ///
    /// # Errors
    /// The device refuses.
    pub fn update(&mut self, parameters: &Parameters) -> Result<()> {
        let pairs = self.averages.iter_mut();
        let pairs = pairs.filter_map(|(name, average)| Some((average, parameters.get(name)?)));
        for run in joined::runs(pairs.collect(), |(average, _)| average) {
            let old: Vec<Tensor> = run.iter().map(|(average, _)| (*average).clone()).collect();
            let new: Vec<Tensor> = run
                .iter()
                .map(|(_, new)| new.as_detached_tensor())
                .collect();
            let new = joined::join(&new)?.affine(1.0 - self.decay, 0.0)?;
            let moved = (joined::join(&old)?.affine(self.decay, 0.0)? + new)?;
            let moved = joined::part(&moved, old.iter().map(Tensor::shape))?;
            for ((average, _), moved) in run.into_iter().zip(moved) {
                *average = moved;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn the_average_follows_and_keeps_no_graph() {
        let var = Var::new(&[0.0f64], &Device::Cpu).unwrap();
        let parameters = Parameters::from([("w".to_owned(), var.clone())]);
        let mut ema = Ema::new(0.75, &parameters).unwrap();
        var.set(&Tensor::new(&[1.0f64], &Device::Cpu).unwrap())
            .unwrap();
        ema.update(&parameters).unwrap();
        ema.update(&parameters).unwrap();
        let average = &ema.averages()["w"];
        assert_eq!(average.to_vec1::<f64>().unwrap(), [1.0 - 0.75 * 0.75]);
        assert!(!average.track_op());
    }
}

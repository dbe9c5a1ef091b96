//! AdamW (arXiv 1711.05101) with state that can be kept.
use std::collections::BTreeMap;

use candle_core::{DType, Result, Tensor, bail};

use super::{Gradients, Parameters, joined};

/// Settings of the update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWSettings {
    pub learning_rate: f64,
    /// Decay of the first and second moment, `[0, 1)`.
    pub betas: [f64; 2],
    pub eps: f64,
    /// Decoupled, as a share of the learning rate.
    pub weight_decay: f64,
}

impl Default for AdamWSettings {
    /// The reference's main stage (nupurkmr9/npedit @ a3cd76c).
    fn default() -> Self {
        Self {
            learning_rate: 2e-5,
            betas: [0.0, 0.9],
            eps: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// First and second moment of one parameter, in single precision or wider.
#[derive(Clone, Debug)]
pub struct Moments {
    pub first: Tensor,
    pub second: Tensor,
}

/// The optimiser and everything that its next step depends on.
#[derive(Clone, Debug)]
pub struct AdamW {
    settings: AdamWSettings,
    step: u64,
    moments: BTreeMap<String, Moments>,
}

impl AdamW {
    pub fn new(settings: AdamWSettings) -> Self {
        Self {
            settings,
            step: 0,
            moments: BTreeMap::new(),
        }
    }

    /// For the next steps.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.settings.learning_rate = learning_rate;
    }

    /// Steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Moments by parameter, for a checkpoint.
    pub fn moments(&self) -> &BTreeMap<String, Moments> {
        &self.moments
    }

    /// The same settings after `step` steps, with the moments of a checkpoint.
    pub fn resumed(&self, step: u64, moments: BTreeMap<String, Moments>) -> Self {
        Self {
            settings: self.settings,
            step,
            moments,
        }
    }

    /// Moves every parameter against its gradient.
    ///
    /// # Errors
    /// A parameter without a gradient: nothing is moved then.
    pub fn update(&mut self, parameters: &Parameters, gradients: &Gradients) -> Result<()> {
        if let Some(name) = parameters
            .keys()
            .find(|name| !gradients.contains_key(*name))
        {
            bail!("{name} has no gradient; a parameter that takes no part must not be trained")
        }
        self.step += 1;
        let AdamWSettings {
            learning_rate,
            betas: [beta1, beta2],
            eps,
            weight_decay,
        } = self.settings;
        let correction = |beta: f64| 1.0 - beta.powf(self.step as f64);
        let (of_first, of_second) = (correction(beta1), correction(beta2));
        let all: Vec<_> = parameters.iter().collect();
        for run in joined::runs(all, |(_, parameter)| parameter.as_tensor()) {
            let taken = run.iter().map(|(name, _)| {
                let grad = widened(&gradients[*name])?;
                let moments = match self.moments.remove(*name) {
                    Some(moments) => moments,
                    None => Moments {
                        first: grad.zeros_like()?,
                        second: grad.zeros_like()?,
                    },
                };
                Ok((grad, moments))
            });
            let taken = taken.collect::<Result<Vec<_>>>()?;
            let join = |of: fn(&(Tensor, Moments)) -> &Tensor| {
                let parts: Vec<Tensor> = taken.iter().map(|one| of(one).clone()).collect();
                joined::join(&parts)
            };
            let grad = join(|(grad, _)| grad)?;
            let first = join(|(_, moments)| &moments.first)?;
            let second = join(|(_, moments)| &moments.second)?;
            let kept: Vec<Tensor> = run
                .iter()
                .map(|(_, var)| var.as_detached_tensor())
                .collect();
            let kept = joined::join(&kept)?;
            let first = (first.affine(beta1, 0.0)? + grad.affine(1.0 - beta1, 0.0)?)?;
            let second = (second.affine(beta2, 0.0)? + grad.sqr()?.affine(1.0 - beta2, 0.0)?)?;
            let size = (second.sqrt()? / of_second.sqrt())?.affine(1.0, eps)?;
            let move_by = (first.affine(learning_rate / of_first, 0.0)? / size)?;
            let kept = kept.affine(1.0 - learning_rate * weight_decay, 0.0)?;
            let moved = (&kept - move_by.to_dtype(kept.dtype())?)?;
            let part = |joined: &Tensor| {
                joined::part(joined, run.iter().map(|(_, parameter)| parameter.shape()))
            };
            let (first, second) = (part(&first)?, part(&second)?);
            for ((((name, parameter), moved), first), second) in
                run.iter().zip(part(&moved)?).zip(first).zip(second)
            {
                parameter.set(&moved)?;
                self.moments
                    .insert((*name).clone(), Moments { first, second });
            }
        }
        Ok(())
    }
}

fn widened(grad: &Tensor) -> Result<Tensor> {
    match grad.dtype() {
        DType::F64 => Ok(grad.detach()),
        _ => grad.detach().to_dtype(DType::F32),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn parameter(values: &[f64]) -> Parameters {
        let var = Var::from_tensor(&Tensor::new(values, &Device::Cpu).unwrap()).unwrap();
        [("w".to_owned(), var)].into()
    }

    fn gradient(values: &[f64]) -> Gradients {
        let grad = Tensor::new(values, &Device::Cpu).unwrap();
        [("w".to_owned(), grad)].into()
    }

    fn values(parameters: &Parameters) -> Vec<f64> {
        parameters["w"].to_vec1().unwrap()
    }

    #[test]
    fn without_a_first_moment_the_first_step_is_a_sign() {
        let parameters = parameter(&[1.0, -2.0, 3.0]);
        let mut optimiser = AdamW::new(AdamWSettings {
            learning_rate: 0.1,
            ..AdamWSettings::default()
        });
        let gradients = gradient(&[5.0, -0.01, 0.0]);
        optimiser.update(&parameters, &gradients).unwrap();
        for (value, expected) in values(&parameters).iter().zip([0.9, -1.9, 3.0]) {
            assert!((value - expected).abs() < 1e-6, "{value} {expected}");
        }
    }

    #[test]
    fn a_resumed_optimiser_takes_the_undisturbed_step() {
        let settings = AdamWSettings {
            learning_rate: 0.01,
            betas: [0.9, 0.99],
            weight_decay: 0.1,
            ..AdamWSettings::default()
        };
        let steps: Vec<_> = (0..4)
            .map(|at| gradient(&[f64::from(at), 1.0 - f64::from(at)]))
            .collect();
        let whole = parameter(&[1.0, 2.0]);
        let mut undisturbed = AdamW::new(settings);
        for gradients in &steps {
            undisturbed.update(&whole, gradients).unwrap();
        }
        let parts = parameter(&[1.0, 2.0]);
        let mut first = AdamW::new(settings);
        first.update(&parts, &steps[0]).unwrap();
        first.update(&parts, &steps[1]).unwrap();
        let fresh = AdamW::new(settings);
        let mut second = fresh.resumed(first.step(), first.moments().clone());
        second.update(&parts, &steps[2]).unwrap();
        second.update(&parts, &steps[3]).unwrap();
        assert_eq!(values(&parts), values(&whole));
    }

    #[test]
    fn a_parameter_without_a_gradient_stops_the_step() {
        let parameters = parameter(&[1.0]);
        let mut optimiser = AdamW::new(AdamWSettings::default());
        assert!(optimiser.update(&parameters, &Gradients::new()).is_err());
        assert_eq!((values(&parameters), optimiser.step()), (vec![1.0], 0));
    }
}

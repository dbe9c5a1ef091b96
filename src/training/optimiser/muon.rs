//! Muon (K. Jordan, 2024): momentum whose matrix is made orthogonal before it moves a weight, so that every direction is
//! learnt equally fast; scaled to the size of AdamW's steps (arXiv 2502.16982, equation 4).
use std::collections::BTreeMap;

use candle_core::{DType, Result, Tensor, Var, bail};

use super::{Gradients, Parameters};

/// Of the quintic that pulls singular values to 1 (Jordan's, chosen for speed: they end between 0.7 and 1.2).
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
const ITERATIONS: usize = 5;
/// Root mean square of AdamW's steps, in learning rates.
const ADAMW_SIZE: f64 = 0.2;
/// Numbers of the matrices that are made orthogonal together at most.
const MOST: usize = 1 << 22;

/// The optimiser of matrices, with everything that its next step depends on.
#[derive(Clone, Debug, Default)]
pub struct Muon {
    /// By parameter.
    momenta: BTreeMap<String, Tensor>,
}

/// Settings of the update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MuonSettings {
    pub learning_rate: f64,
    /// Decay of the momentum, `[0, 1)`.
    pub momentum: f64,
}

impl Muon {
    /// Goes on with the momenta of a checkpoint.
    pub fn resume(momenta: BTreeMap<String, Tensor>) -> Self {
        Self { momenta }
    }

    /// By parameter, for a checkpoint.
    pub fn momenta(&self) -> &BTreeMap<String, Tensor> {
        &self.momenta
    }

    /// Moves every matrix `[out, in]`, and the kernels `[out, in, k, k]` of every convolution as one, against its gradient.
    ///
    /// # Errors
    /// No matrix.
    pub fn update(
        &mut self,
        parameters: &Parameters,
        gradients: &Gradients,
        settings: MuonSettings,
    ) -> Result<()> {
        // matrices of one shape are made orthogonal together
        let mut alike: BTreeMap<[usize; 2], Vec<(&String, &Var)>> = BTreeMap::new();
        for (name, parameter) in parameters {
            let shape = match parameter.dims() {
                [rows, rest @ ..] if !rest.is_empty() => [*rows, rest.iter().product()],
                other => bail!("a tensor {other:?} has no singular values; update it by AdamW"),
            };
            alike.entry(shape).or_default().push((name, parameter));
        }
        for ([rows, columns], all) in alike {
            let size = ADAMW_SIZE * (rows.max(columns) as f64).sqrt();
            for some in all.chunks((MOST / (rows * columns)).max(1)) {
                let mut ahead = Vec::with_capacity(some.len());
                for (name, _) in some {
                    let grad = gradients[*name].detach().to_dtype(DType::F32)?;
                    let momentum = match self.momenta.get(*name) {
                        Some(momentum) => (momentum * settings.momentum)? + &grad,
                        None => Ok(grad.clone()),
                    }?;
                    // Nesterov's: one step of momentum ahead
                    let step = (grad + (&momentum * settings.momentum)?)?;
                    ahead.push(step.reshape((rows, columns))?);
                    self.momenta.insert((*name).clone(), momentum);
                }
                let steps = orthogonal(&Tensor::stack(&ahead, 0)?)?;
                let steps = (steps * (settings.learning_rate * size))?;
                for (at, (_, parameter)) in some.iter().enumerate() {
                    let step = steps.get(at)?.reshape(parameter.shape())?;
                    let kept = parameter.as_detached_tensor();
                    parameter.set(&(&kept - step.to_dtype(kept.dtype())?)?)?;
                }
            }
        }
        Ok(())
    }
}

/// The nearest matrices whose singular values are about 1, by Newton-Schulz iteration in single precision. `[B, out, in]`
///
/// # Errors
/// No batch of matrices.
pub fn orthogonal(matrices: &Tensor) -> Result<Tensor> {
    let (_, rows, columns) = matrices.dims3()?;
    // the smaller side decides the cost
    let turned = rows > columns;
    let x = match turned {
        true => matrices.t()?.contiguous()?,
        false => matrices.clone(),
    };
    let norm = x
        .sqr()?
        .flatten_from(1)?
        .sum_keepdim(1)?
        .unsqueeze(2)?
        .sqrt()?;
    let inverse = (norm.to_dtype(DType::F64)? + 1e-7)?.recip()?;
    let mut x = x.broadcast_mul(&inverse.to_dtype(x.dtype())?)?;
    let [linear, cubic, quintic] = QUINTIC;
    for _ in 0..ITERATIONS {
        let square = x.matmul(&x.t()?)?;
        let mixed = ((&square * cubic)? + (square.matmul(&square)? * quintic)?)?;
        x = ((&x * linear)? + mixed.matmul(&x)?)?;
    }
    if turned { x.t()?.contiguous() } else { Ok(x) }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn waves(rows: usize, columns: usize) -> Tensor {
        let values = (0..rows * columns).map(|at| ((at * at + 3 * at) as f32 * 0.37).sin());
        Tensor::from_iter(values, &Device::Cpu)
            .unwrap()
            .reshape((rows, columns))
            .unwrap()
    }

    #[test]
    fn singular_values_end_near_one() {
        for (rows, columns) in [(4, 9), (9, 4), (5, 5)] {
            let two = [waves(rows, columns), (waves(rows, columns) * 30.0).unwrap()];
            let both = orthogonal(&Tensor::stack(&two, 0).unwrap()).unwrap();
            assert_eq!(both.dims(), [2, rows, columns]);
            let x = both.get(1).unwrap();
            let apart = (&x - both.get(0).unwrap()).unwrap().abs().unwrap();
            let apart = apart.max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(apart < 1e-3, "the size of a matrix made {apart}");
            let gram = if rows < columns {
                x.matmul(&x.t().unwrap())
            } else {
                x.t().unwrap().matmul(&x)
            };
            let gram = gram.unwrap().to_vec2::<f32>().unwrap();
            for (row, values) in gram.iter().enumerate() {
                for (column, value) in values.iter().enumerate() {
                    let exact = if row == column { 1.0 } else { 0.0 };
                    assert!((value - exact).abs() < 0.6, "{row} {column} {value}");
                }
            }
        }
    }

    #[test]
    fn a_resumed_optimiser_takes_the_undisturbed_step() {
        let settings = MuonSettings {
            learning_rate: 0.1,
            momentum: 0.9,
        };
        let start = || Parameters::from([("w".into(), Var::from_tensor(&waves(3, 4)).unwrap())]);
        let grads = [
            waves(3, 4),
            (waves(3, 4) * -0.3).unwrap(),
            waves(3, 4).cos().unwrap(),
        ];
        let grads = grads.map(|grad| Gradients::from([("w".into(), grad)]));
        let whole = start();
        let mut undisturbed = Muon::default();
        for grad in &grads {
            undisturbed.update(&whole, grad, settings).unwrap();
        }
        let parts = start();
        let mut first = Muon::default();
        first.update(&parts, &grads[0], settings).unwrap();
        let mut second = Muon::resume(first.momenta().clone());
        second.update(&parts, &grads[1], settings).unwrap();
        second.update(&parts, &grads[2], settings).unwrap();
        let values = |all: &Parameters| all["w"].to_vec2::<f32>().unwrap();
        assert_eq!(values(&whole), values(&parts));
        let bias = Var::new(&[1f32], &Device::Cpu).unwrap();
        let bias = Parameters::from([("w".into(), bias)]);
        assert!(undisturbed.update(&bias, &grads[0], settings).is_err());
    }
}

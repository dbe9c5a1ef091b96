//! Muon (K. Jordan, 2024): momentum whose matrix is made orthogonal before it moves a weight, so that every direction is
//! learnt equally fast; scaled to the size of AdamW's steps (arXiv 2502.16982, equation 4).
use std::collections::BTreeMap;

use candle_core::{DType, Result, Tensor, Var, bail};

/// Of the quintic that pulls singular values to 1 (Jordan's, chosen for speed: they end between 0.7 and 1.2).
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
const ITERATIONS: usize = 5;
/// Root mean square of AdamW's steps, in learning rates.
const ADAMW_SIZE: f64 = 0.2;

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

    /// Moves one matrix `[out, in]`, or the kernels `[out, in, k, k]` of a convolution as one, against its gradient.
    ///
    /// # Errors
    /// No matrix.
    pub fn update(
        &mut self,
        (name, parameter): (&str, &Var),
        gradient: &Tensor,
        settings: MuonSettings,
    ) -> Result<()> {
        let grad = gradient.detach().to_dtype(DType::F32)?;
        let momentum = match self.momenta.get(name) {
            Some(momentum) => (momentum * settings.momentum)? + &grad,
            None => Ok(grad.clone()),
        }?;
        // Nesterov's: one step of momentum ahead
        let ahead = (grad + (&momentum * settings.momentum)?)?;
        let matrix = match ahead.rank() {
            3.. => ahead.flatten_from(1)?,
            _ => ahead.clone(),
        };
        let orthogonal = orthogonal(&matrix)?.reshape(ahead.shape())?;
        let (rows, columns) = matrix.dims2()?;
        let size = ADAMW_SIZE * (rows.max(columns) as f64).sqrt();
        let step = (orthogonal * (settings.learning_rate * size))?;
        let kept = parameter.as_detached_tensor();
        parameter.set(&(&kept - step.to_dtype(kept.dtype())?)?)?;
        self.momenta.insert(name.to_owned(), momentum);
        Ok(())
    }
}

/// The nearest matrix whose singular values are about 1, by Newton-Schulz iteration in single precision. `[out, in]`
///
/// # Errors
/// No matrix.
pub fn orthogonal(matrix: &Tensor) -> Result<Tensor> {
    if matrix.rank() != 2 {
        bail!(
            "a tensor {:?} has no singular values; update it by AdamW",
            matrix.dims()
        )
    }
    let (rows, columns) = matrix.dims2()?;
    // the smaller side decides the cost
    let turned = rows > columns;
    let mut x = if turned {
        matrix.t()?.contiguous()?
    } else {
        matrix.clone()
    };
    let norm = x
        .sqr()?
        .sum_all()?
        .sqrt()?
        .to_dtype(DType::F64)?
        .to_scalar::<f64>()?;
    x = (x / (norm + 1e-7))?;
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
            let x = orthogonal(&waves(rows, columns)).unwrap();
            assert_eq!(x.dims(), [rows, columns]);
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
        let start = || Var::from_tensor(&waves(3, 4)).unwrap();
        let grads = [
            waves(3, 4),
            (waves(3, 4) * -0.3).unwrap(),
            waves(3, 4).cos().unwrap(),
        ];
        let whole = start();
        let mut undisturbed = Muon::default();
        for grad in &grads {
            undisturbed.update(("w", &whole), grad, settings).unwrap();
        }
        let parts = start();
        let mut first = Muon::default();
        first.update(("w", &parts), &grads[0], settings).unwrap();
        let mut second = Muon::resume(first.momenta().clone());
        second.update(("w", &parts), &grads[1], settings).unwrap();
        second.update(("w", &parts), &grads[2], settings).unwrap();
        let values = |var: &Var| var.to_vec2::<f32>().unwrap();
        assert_eq!(values(&whole), values(&parts));
        assert!(
            undisturbed
                .update(
                    ("b", &Var::new(&[1f32], &Device::Cpu).unwrap()),
                    &waves(1, 1).flatten_all().unwrap(),
                    settings
                )
                .is_err()
        );
    }
}

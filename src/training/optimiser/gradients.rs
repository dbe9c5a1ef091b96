//! One gradient a parameter.
use candle_core::{DType, Result, Tensor, backprop::GradStore};

use super::{Gradients, Parameters, joined};

/// The gradients of `parameters`, taken out of a backward pass.
pub fn gradients_of(parameters: &Parameters, grads: &mut GradStore) -> Gradients {
    let found = parameters
        .iter()
        .filter_map(|(name, var)| Some((name.clone(), grads.remove(var.as_tensor())?)));
    found.collect()
}

/// Adds the gradients of another part of the batch.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn accumulate(sum: &mut Gradients, part: Gradients) -> Result<()> {
    for (name, grad) in part {
        let grad = match sum.remove(&name) {
            Some(earlier) => (earlier + grad)?,
            None => grad,
        };
        sum.insert(name, grad);
    }
    Ok(())
}

/// Norm over all gradients together.
///
/// # Errors
/// The device refuses.
pub fn global_norm(gradients: &Gradients) -> Result<f64> {
    let runs = joined::runs(gradients.values().cloned().collect(), |grad| grad);
    let squares = runs
        .iter()
        .map(|run| joined::join(run)?.to_dtype(DType::F64)?.sqr()?.sum_all());
    let squares = squares.collect::<Result<Vec<_>>>()?;
    if squares.is_empty() {
        return Ok(0.0);
    }
    // one wait for the device
    let squares = Tensor::stack(&squares, 0)?.to_vec1::<f64>()?;
    Ok(squares.iter().sum::<f64>().sqrt())
}

/// Scales all gradients so that their global norm is at most `most`; answers the norm before.
///
/// # Errors
/// The device refuses.
pub fn clip_global_norm(gradients: &mut Gradients, most: f64) -> Result<f64> {
    let norm = global_norm(gradients)?;
    if norm > most {
        for grad in gradients.values_mut() {
            *grad = grad.affine(most / norm, 0.0)?;
        }
    }
    Ok(norm)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn gradient(values: &[f64]) -> Gradients {
        let grad = Tensor::new(values, &Device::Cpu).unwrap();
        [("w".to_owned(), grad)].into()
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let mut gradients = gradient(&[3.0, 4.0]);
        assert_eq!(clip_global_norm(&mut gradients, 10.0).unwrap(), 5.0);
        assert_eq!(clip_global_norm(&mut gradients, 1.0).unwrap(), 5.0);
        let clipped = gradients["w"].to_vec1::<f64>().unwrap();
        assert!((clipped[0] - 0.6).abs() < 1e-12 && (clipped[1] - 0.8).abs() < 1e-12);
    }
}

//! Distribution matching (DMD, arXiv 2311.18828; DMD2, arXiv 2405.14867): where a frozen text-to-image model and one
//! that follows the generator disagree, the generator is moved towards the frozen one.
use candle_core::{Result, Tensor};
use serde::Deserialize;

/// Least size of the normaliser.
const LEAST: f64 = 1e-8;

/// Over what the size of the real score's correction is averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normaliser {
    /// Channels and pixels: one weight a sample (DMD2).
    #[default]
    PerSample,
    /// Channels alone: one weight a pixel (nupurkmr9/npedit @ a3cd76c).
    PerPixel,
}

/// Clean predictions of both scores at one re-noised `x0`, `[B, C, h, w]` each.
#[derive(Clone, Debug)]
pub struct CleanPredictions {
    pub real: Tensor,
    pub fake: Tensor,
}

/// Direction in which `x0` is moved: `(x0_fake - x0_real) / mean |x0 - x0_real|`. Not part of the graph. `[B, C, h, w]`
///
/// # Errors
/// Shapes that do not fit each other.
pub fn direction(
    x0: &Tensor,
    predictions: &CleanPredictions,
    normaliser: Normaliser,
) -> Result<Tensor> {
    let CleanPredictions { real, fake } = predictions;
    let to_real = (x0.detach() - real.detach())?;
    let apart = (&to_real - (x0.detach() - fake.detach())?)?;
    let size = to_real.abs()?;
    let size = match normaliser {
        Normaliser::PerSample => size.mean_keepdim((1, 2, 3))?,
        Normaliser::PerPixel => size.mean_keepdim(1)?,
    };
    finite(&apart.broadcast_div(&size.maximum(LEAST)?)?)
}

/// A loss whose gradient by `x0` is `direction / numel`: `mean 0.5 (x0 - stop(x0 - direction))^2`.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn loss(x0: &Tensor, direction: &Tensor) -> Result<Tensor> {
    let target = (x0.detach() - direction)?;
    (x0 - target)?.sqr()?.affine(0.5, 0.0)?.mean_all()
}

/// Zero where a value is no number or infinite.
fn finite(x: &Tensor) -> Result<Tensor> {
    let most = f64::from(f32::MAX);
    let usable = x.abs()?.le(most)?;
    usable.where_cond(x, &x.zeros_like()?)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    fn waves(seed: f64) -> Tensor {
        let values = (0..2 * 3 * 4 * 5).map(|at| (at as f64 * seed).sin());
        let flat = Tensor::from_iter(values, &Device::Cpu).unwrap();
        flat.reshape((2, 3, 4, 5)).unwrap()
    }

    #[test]
    fn equal_scores_move_nothing() {
        let same = CleanPredictions {
            real: waves(0.3),
            fake: waves(0.3),
        };
        for normaliser in [Normaliser::PerSample, Normaliser::PerPixel] {
            let direction = direction(&waves(0.7), &same, normaliser).unwrap();
            let most = direction.abs().unwrap().flatten_all().unwrap().max(0);
            assert_eq!(most.unwrap().to_scalar::<f64>().unwrap(), 0.0);
        }
    }

    #[test]
    fn the_gradient_is_the_direction_over_the_number_of_values() {
        let predictions = CleanPredictions {
            real: waves(0.3),
            fake: waves(0.4),
        };
        let x0 = Var::from_tensor(&waves(0.7)).unwrap();
        let direction = direction(x0.as_tensor(), &predictions, Normaliser::PerSample).unwrap();
        let loss = loss(x0.as_tensor(), &direction).unwrap();
        let grads = loss.backward().unwrap();
        let expected = (&direction / x0.elem_count() as f64).unwrap();
        let apart = (grads.get(&x0).unwrap() - expected).unwrap().abs().unwrap();
        let most = apart.flatten_all().unwrap().max(0).unwrap();
        assert!(most.to_scalar::<f64>().unwrap() < 1e-15);
    }

    #[test]
    fn what_is_no_number_moves_nothing() {
        let x0 = Tensor::zeros((1, 1, 1, 2), DType::F32, &Device::Cpu).unwrap();
        let odd = Tensor::new(&[[[[f32::NAN, 1.0]]]], &Device::Cpu).unwrap();
        let predictions = CleanPredictions {
            real: x0.clone(),
            fake: odd,
        };
        let direction = direction(&x0, &predictions, Normaliser::PerPixel).unwrap();
        let values = direction.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values[0], 0.0);
        assert!(values[1].is_finite());
    }
}

//! Flow matching (arXiv 2210.02747): what velocity models are trained on.
use candle_core::{D, Result, Tensor};

/// `(1 - sigma) x0 + sigma noise`. `x0` and `noise` `[B, C, h, w]`, `sigma` `[B]`
///
/// # Errors
/// Shapes that do not fit each other.
pub fn noised(x0: &Tensor, noise: &Tensor, sigma: &Tensor) -> Result<Tensor> {
    let sigma = sigma.to_dtype(x0.dtype())?.reshape(((), 1, 1, 1))?;
    x0.broadcast_mul(&sigma.affine(-1.0, 1.0)?)? + noise.broadcast_mul(&sigma)?
}

/// Mean squared error against the velocity `noise - x0`, of each item. `[B, C, h, w]` to `[B]`
///
/// # Errors
/// Shapes that do not fit each other.
pub fn losses(velocity: &Tensor, x0: &Tensor, noise: &Tensor) -> Result<Tensor> {
    let target = (noise - x0)?.detach();
    (velocity - target)?.sqr()?.flatten_from(1)?.mean(D::Minus1)
}

/// Density of the logit-normal distribution (location 0, scale 1) at a `sigma` in (0, 1): the weight of the reference's
/// warm-up (arXiv 2403.03206, section 3.1).
pub fn logit_normal(sigma: f64) -> f64 {
    let logit = (sigma / (1.0 - sigma)).ln();
    (-0.5 * logit * logit).exp() / ((2.0 * std::f64::consts::PI).sqrt() * sigma * (1.0 - sigma))
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn the_true_velocity_costs_nothing() {
        let x0 = Tensor::full(0.5f32, (2, 1, 2, 2), &Device::Cpu).unwrap();
        let noise = Tensor::ones((2, 1, 2, 2), DType::F32, &Device::Cpu).unwrap();
        let velocity = (&noise - &x0).unwrap();
        let costs = losses(&velocity, &x0, &noise).unwrap();
        assert_eq!(costs.to_vec1::<f32>().unwrap(), [0.0, 0.0]);
        let sigma = Tensor::new(&[0.0f32, 1.0], &Device::Cpu).unwrap();
        let mixed = noised(&x0, &noise, &sigma).unwrap();
        let first = |item| mixed.get(item).unwrap().flatten_all().unwrap();
        assert_eq!(first(0).to_vec1::<f32>().unwrap(), [0.5; 4]);
        assert_eq!(first(1).to_vec1::<f32>().unwrap(), [1.0; 4]);
    }
}

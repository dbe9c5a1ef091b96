//! Group-relative policy optimisation of a denoiser (Flow-GRPO, arXiv 2505.05470).
use candle_core::{D, Result, Tensor};

/// Added to a group's spread, so that groups of nearly equal rewards do not count more.
const SPREAD_FLOOR: f64 = 1e-4;
/// Largest advantage either way.
const MOST: f64 = 5.0;

/// How much better than its group each sample is, in standard deviations of the group (equation 4).
pub fn advantages(rewards: &[f64]) -> Vec<f64> {
    let Some(first) = rewards.first() else {
        return Vec::new();
    };
    let count = rewards.len() as f64;
    // from the first reward, so that equal rewards are exactly their mean
    let apart: Vec<f64> = rewards.iter().map(|reward| reward - first).collect();
    let mean = apart.iter().sum::<f64>() / count;
    let spread = spread(rewards);
    let advantages = apart
        .iter()
        .map(|apart| (apart - mean) / (spread + SPREAD_FLOOR));
    advantages
        .map(|advantage| advantage.clamp(-MOST, MOST))
        .collect()
}

/// Standard deviation of a group's rewards.
pub fn spread(rewards: &[f64]) -> f64 {
    let Some(first) = rewards.first() else {
        return 0.0;
    };
    let count = rewards.len() as f64;
    let mean = rewards.iter().map(|reward| reward - first).sum::<f64>() / count;
    let squares = rewards.iter().map(|reward| (reward - first - mean).powi(2));
    (squares.sum::<f64>() / count).sqrt()
}

/// The clipped surrogate of every sample (equation 5), to be minimised.
#[derive(Debug)]
pub struct Surrogate {
    /// `max(-A r, -A clip(r))`, `[B]`
    pub losses: Tensor,
    /// Which samples have no gradient, because their ratio left the range in the direction of their advantage.
    pub clipped: Vec<bool>,
}

impl Surrogate {
    /// `ratios` `[B]`: how much more probable each draw is now than when it was made; kept within `1 - clip ..= 1 + clip`.
    ///
    /// # Errors
    /// Another number of advantages than of ratios.
    pub fn new(ratios: &Tensor, advantages: &[f64], clip: f64) -> Result<Self> {
        let values = ratios.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>()?;
        let clipped: Vec<bool> = values
            .iter()
            .zip(advantages)
            .map(|(ratio, advantage)| {
                (*advantage > 0.0 && *ratio > 1.0 + clip)
                    || (*advantage < 0.0 && *ratio < 1.0 - clip)
            })
            .collect();
        // slope and offset of each loss in its ratio
        let of = |slope: fn(f64, bool, f64) -> f64| -> Result<Tensor> {
            let values = advantages.iter().zip(&clipped);
            let values = values.map(|(advantage, clipped)| slope(*advantage, *clipped, clip));
            Tensor::from_iter(values, ratios.device())?.to_dtype(ratios.dtype())
        };
        let slopes = of(|advantage, clipped, _| if clipped { 0.0 } else { -advantage })?;
        let offsets = of(|advantage, clipped, clip| match clipped {
            true => -advantage * (1.0 + clip * advantage.signum()),
            false => 0.0,
        })?;
        Ok(Self {
            losses: ((ratios * slopes)? + offsets)?,
            clipped,
        })
    }
}

/// Divergence of every sample's draw from the base's, `[B]`: `mean (mean - base)^2 / (2 std^2)`. Means `[B, C, h, w]`
///
/// # Errors
/// Shapes that do not fit each other.
pub fn divergences(mean: &Tensor, base: &Tensor, std: f64) -> Result<Tensor> {
    let squares = (mean - base.detach())?.sqr()?.flatten_from(1)?;
    squares.mean(D::Minus1)? / (2.0 * std * std)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn equal_rewards_have_no_advantage_and_the_rest_sums_to_none() {
        assert_eq!(advantages(&[0.1; 7]), [0.0; 7]);
        assert_eq!(spread(&[0.1; 7]), 0.0);
        let mixed = advantages(&[0.0, 0.5, 1.0, 0.1]);
        assert!(mixed.iter().sum::<f64>().abs() < 1e-12);
        assert!((advantages(&[0.0, 1.0])[1] - 0.5 / (0.5 + 1e-4)).abs() < 1e-12);
        let mut many = vec![0.0; 99];
        many.push(1.0);
        assert_eq!(advantages(&many)[99], 5.0);
        assert!(advantages(&[]).is_empty());
    }

    #[test]
    fn a_ratio_beyond_the_range_has_no_gradient_where_it_would_go_on() {
        let ratios = Var::new(&[1.0f64, 1.3, 1.3, 0.7, 0.7], &Device::Cpu).unwrap();
        let advantages = [2.0, 2.0, -2.0, 2.0, -2.0];
        let surrogate = Surrogate::new(&ratios, &advantages, 0.2).unwrap();
        assert_eq!(surrogate.clipped, [false, true, false, false, true]);
        let losses = surrogate.losses.to_vec1::<f64>().unwrap();
        for ((loss, ratio), advantage) in
            losses.iter().zip([1.0, 1.3, 1.3, 0.7, 0.7]).zip(advantages)
        {
            let exact = (-advantage * ratio).max(-advantage * f64::clamp(ratio, 0.8, 1.2));
            assert!((loss - exact).abs() < 1e-12, "{loss} {exact}");
        }
        let grads = surrogate.losses.sum_all().unwrap().backward().unwrap();
        let grad = grads.get(&ratios).unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(grad, [-2.0, 0.0, 2.0, -2.0, 0.0]);
    }
}

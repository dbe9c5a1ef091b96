//! Standard gaussian noise that is bit-equal on every machine.
//!
//! The host draws it (candle's CPU generator cannot be seeded), from a counter-based generator, with the polar method: only
//! additions, products, an IEEE square root and a logarithm in pure Rust, so no platform's libm has a say.
use candle_core::{Device, Result, Tensor};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::error::EditError;

/// Noise of one denoising batch.
#[derive(Debug, Clone)]
pub struct NoiseDraw {
    /// Latents at sigma 1, `[B, C, h, w]`.
    pub initial: Tensor,
    /// Fresh noise of every step, `[B, C, h, w]` each. The last step ends at sigma 0 and uses none of it.
    pub steps: Vec<Tensor>,
}

/// Latent shape of one picture, `[C, h, w]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Grid {
    /// Values per picture.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// True when a picture would have no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl NoiseDraw {
    /// Noise of one picture per seed, item by item, so that a picture's noise does not depend on its place in the batch.
    pub fn from_seeds(seeds: &[u64], steps: usize, grid: Grid, device: &Device) -> Result<Self> {
        let draw = |stream: u64| -> Result<Tensor> {
            let values: Vec<f32> = seeds
                .iter()
                .flat_map(|&seed| gaussian(seed, stream, grid.len()))
                .collect();
            let shape = (seeds.len(), grid.channels, grid.height, grid.width);
            Tensor::from_vec(values, shape, device)
        };
        Ok(Self {
            initial: draw(0)?,
            steps: (1..=steps as u64).map(draw).collect::<Result<_>>()?,
        })
    }
}

impl NoiseDraw {
    /// The noise of `count` pictures from `start` on.
    pub fn narrow(&self, start: usize, count: usize) -> Result<Self> {
        Ok(Self {
            initial: self.initial.narrow(0, start, count)?,
            steps: self
                .steps
                .iter()
                .map(|noise| noise.narrow(0, start, count))
                .collect::<Result<_>>()?,
        })
    }

    /// The noise of all pictures behind each other; at least one draw.
    pub fn cat(draws: &[Self]) -> Result<Self> {
        let cat = |each: &dyn Fn(&Self) -> &Tensor| {
            Tensor::cat(&draws.iter().map(each).collect::<Vec<_>>(), 0)
        };
        let steps = draws.first().map_or(0, |draw| draw.steps.len());
        Ok(Self {
            initial: cat(&|draw| &draw.initial)?,
            steps: (0..steps)
                .map(|step| cat(&|draw| &draw.steps[step]))
                .collect::<Result<_>>()?,
        })
    }

    /// Refuses noise of another shape than `steps` steps on `grid` need.
    ///
    /// # Errors
    /// [`EditError::NoiseShape`] with both shapes.
    pub fn check(&self, steps: usize, grid: Grid) -> std::result::Result<(), EditError> {
        let count = self.initial.dims().first().copied().unwrap_or(0).max(1);
        let expected = vec![count, grid.channels, grid.height, grid.width];
        let named = |tensor, found: &[usize], expected: &[usize]| {
            Err(EditError::NoiseShape {
                tensor,
                found: found.to_vec(),
                expected: expected.to_vec(),
            })
        };
        if self.initial.dims() != expected {
            return named("noise", self.initial.dims(), &expected);
        }
        let of_steps = |len: usize| [&[len], expected.as_slice()].concat();
        if self.steps.len() != steps {
            return named("step_noise", &of_steps(self.steps.len()), &of_steps(steps));
        }
        match self.steps.iter().find(|noise| noise.dims() != expected) {
            Some(other) => named("step_noise", other.dims(), &expected),
            None => Ok(()),
        }
    }
}

/// `count` standard gaussian values; `stream` 0 is the initial noise, `i` the fresh noise of step `i`.
fn gaussian(seed: u64, stream: u64, count: usize) -> Vec<f32> {
    let mut generator = ChaCha12Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let (u, v) = (symmetric(&mut generator), symmetric(&mut generator));
        let s = u * u + v * v;
        if s > 0.0 && s < 1.0 {
            let scale = (-2.0 * libm::log(s) / s).sqrt();
            values.push((u * scale) as f32);
            values.push((v * scale) as f32);
        }
    }
    values.truncate(count);
    values
}

/// Uniform in `[-1, 1)` with 53 random bits.
fn symmetric(generator: &mut ChaCha12Rng) -> f64 {
    let unit = (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    2.0 * unit - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_values_of_seed_7_never_change() {
        let bits: Vec<u32> = gaussian(7, 0, 4).iter().map(|v| v.to_bits()).collect();
        assert_eq!(bits, EXPECTED_BITS, "{bits:?}");
    }

    const EXPECTED_BITS: [u32; 4] = [3_214_001_735, 1_040_891_900, 3_208_343_815, 3_205_266_349];

    #[test]
    fn moments_are_those_of_a_standard_gaussian() {
        let values = gaussian(1, 0, 200_000);
        let n = values.len() as f64;
        let moment = |p: i32| values.iter().map(|&v| f64::from(v).powi(p)).sum::<f64>() / n;
        assert!(moment(1).abs() < 0.01);
        assert!((moment(2) - 1.0).abs() < 0.02);
        assert!((moment(4) - 3.0).abs() < 0.1);
    }

    #[test]
    fn a_picture_draws_the_same_noise_at_any_place_in_the_batch() {
        let grid = Grid {
            channels: 2,
            height: 3,
            width: 5,
        };
        let alone = NoiseDraw::from_seeds(&[9], 2, grid, &Device::Cpu).unwrap();
        let third = NoiseDraw::from_seeds(&[3, 4, 9], 2, grid, &Device::Cpu).unwrap();
        let pick = |t: &Tensor, i: usize| {
            t.get(i)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        assert_eq!(pick(&alone.initial, 0), pick(&third.initial, 2));
        for (a, b) in alone.steps.iter().zip(&third.steps) {
            assert_eq!(pick(a, 0), pick(b, 2));
        }
        assert_ne!(pick(&third.initial, 0), pick(&third.initial, 1));
        assert_ne!(pick(&alone.initial, 0), pick(&alone.steps[0], 0));
        assert_ne!(pick(&alone.steps[0], 0), pick(&alone.steps[1], 0));
    }
}

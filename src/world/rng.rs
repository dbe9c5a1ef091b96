//! Random choices that are the same on every machine.
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded source of choices.
#[derive(Clone, Debug)]
pub struct SceneRng(ChaCha12Rng);

impl SceneRng {
    /// The source of item `index` under `seed`: items can be drawn in any order, or again after a resume.
    pub fn new(seed: u64, index: u64) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        rng.set_stream(index);
        Self(rng)
    }

    /// A seed for a source of its own.
    pub fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..count`; the bias of the product is below `count / 2^32`. `count` must not be 0.
    pub fn below(&mut self, count: usize) -> usize {
        ((u64::from(self.0.next_u32()) * count as u64) >> 32) as usize
    }

    /// One of `items`, of which there must be one.
    pub fn choose<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Uniform in `[low, high)` with 24 random bits.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
        low + (high - low) * unit
    }

    /// True with probability `share`.
    pub fn chance(&mut self, share: f32) -> bool {
        self.between(0.0, 1.0) < share
    }

    /// Mean 0, deviation 1: the sum of twelve uniform values, near enough to a gaussian for noise in a picture.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.between(-0.5, 0.5)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_does_not_depend_on_the_others() {
        let first = SceneRng::new(7, 3).seed();
        assert_eq!(first, SceneRng::new(7, 3).seed());
        assert_ne!(first, SceneRng::new(7, 4).seed());
        assert_ne!(first, SceneRng::new(8, 3).seed());
    }

    #[test]
    fn choices_are_even_and_noise_is_standard() {
        let mut rng = SceneRng::new(1, 0);
        let mut counts = [0; 3];
        (0..3000).for_each(|_| counts[rng.below(3)] += 1);
        assert!(counts.iter().all(|count| (900..1100).contains(count)));
        let values: Vec<f32> = (0..20_000).map(|_| rng.normal()).collect();
        let moment = |p| values.iter().map(|v| f32::powi(*v, p)).sum::<f32>() / 20_000.0;
        assert!(moment(1).abs() < 0.03);
        assert!((moment(2) - 1.0).abs() < 0.05);
    }
}

//! What is random in a step: a pure function of the run's seed and the step, so that nothing of it needs to be kept.
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a number is drawn for: no two purposes share a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// At which level the unrolled path ends.
    Depth,
    /// Noise of the unrolled path.
    Path,
    /// Level at which the scores are compared.
    DmdSigma,
    DmdNoise,
    /// Level of a flow-matching loss.
    FlowSigma,
    FlowNoise,
    /// Texts that are dropped.
    Dropout,
    /// Scenes of the world.
    Scenes,
    /// Labelled edits, and the light on them.
    Labelled,
    /// Level and noise of a fake-score update, and the path of its outputs.
    FakeSigma {
        update: u32,
    },
    FakeNoise {
        update: u32,
    },
    FakePath {
        update: u32,
    },
}

/// Words of the generator that one purpose may use.
const WORDS: u128 = 1 << 24;

impl Purpose {
    fn index(self) -> u128 {
        match self {
            Self::Depth => 0,
            Self::Path => 1,
            Self::DmdSigma => 2,
            Self::DmdNoise => 3,
            Self::FlowSigma => 4,
            Self::FlowNoise => 5,
            Self::Dropout => 6,
            Self::Scenes => 7,
            Self::Labelled => 8,
            Self::FakeSigma { update } => 16 + 4 * u128::from(update),
            Self::FakeNoise { update } => 17 + 4 * u128::from(update),
            Self::FakePath { update } => 18 + 4 * u128::from(update),
        }
    }
}

/// The random numbers of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    seed: u64,
    step: u64,
}

impl Draws {
    /// `seed` is the run's; `step` counts from 0.
    pub fn new(seed: u64, step: u64) -> Self {
        Self { seed, step }
    }

    /// One number for each of `count` items; the first are the same for any count.
    pub fn seeds(self, purpose: Purpose, count: usize) -> Vec<u64> {
        let mut generator = ChaCha12Rng::seed_from_u64(self.seed);
        generator.set_stream(self.step);
        generator.set_word_pos(purpose.index() * WORDS);
        (0..count).map(|_| generator.next_u64()).collect()
    }

    /// Uniform in `[0, 1)`, one for each of `count` items.
    pub fn uniform(self, purpose: Purpose, count: usize) -> Vec<f64> {
        self.seeds(purpose, count).into_iter().map(unit).collect()
    }

    /// One of `0..most`.
    pub fn below(self, purpose: Purpose, most: usize) -> usize {
        let [unit] = self.uniform(purpose, 1)[..] else {
            return 0;
        };
        ((unit * most as f64) as usize).min(most.saturating_sub(1))
    }
}

/// 53 random bits as a number in `[0, 1)`.
pub(super) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_steps_and_seeds_share_nothing() {
        let mut seen = std::collections::BTreeSet::new();
        let fake = (0..3).flat_map(|update| {
            [
                Purpose::FakeSigma { update },
                Purpose::FakeNoise { update },
                Purpose::FakePath { update },
            ]
        });
        let purposes: Vec<_> = [Purpose::Depth, Purpose::Path, Purpose::DmdNoise]
            .into_iter()
            .chain(fake)
            .collect();
        for (seed, step) in [(0, 0), (0, 1), (1, 0)] {
            for purpose in &purposes {
                seen.extend(Draws::new(seed, step).seeds(*purpose, 4));
            }
        }
        assert_eq!(seen.len(), 3 * purposes.len() * 4);
    }

    #[test]
    fn an_item_draws_the_same_in_any_batch() {
        let draws = Draws::new(7, 11);
        let (few, many) = (
            draws.uniform(Purpose::Path, 2),
            draws.uniform(Purpose::Path, 5),
        );
        assert_eq!(few, many[..2]);
        assert!(many.iter().all(|unit| (0.0..1.0).contains(unit)));
        assert!(draws.below(Purpose::Depth, 4) < 4);
    }
}

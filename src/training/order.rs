//! Which rows a step takes: a pure function of the seed and the position, so that a resumed run takes the same ones.
use std::collections::BTreeMap;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::draws::unit;
use crate::pipelines::questions::EditType;

/// What a position of the order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Row of the instruction set.
    Edit(usize),
    /// Row of the instruction set, whose picture is to stay as it is.
    Nothing(usize),
    /// Row of the replay set.
    Replay(usize),
}

/// How rows are chosen.
#[derive(Clone, Debug)]
pub struct Order {
    seed: u64,
    rows: usize,
    replayed: usize,
    shares: Shares,
    /// Rows of each type with its share, where the mix is given; empty: every row once an epoch.
    mix: Vec<(f64, Vec<usize>)>,
}

/// Shares of a batch, each in `[0, 1]`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    /// Items whose instruction is "do nothing."
    pub do_nothing: f64,
    /// Items from the replay set.
    pub replay: f64,
}

impl Order {
    /// Every one of `rows` once an epoch, in an order of its own; `replayed` is the size of the replay set.
    pub fn shuffled(seed: u64, (rows, replayed): (usize, usize), shares: Shares) -> Self {
        Self {
            seed,
            rows,
            replayed,
            shares,
            mix: Vec::new(),
        }
    }

    /// Draws the edit type by `mix` first, then one of its rows.
    pub fn mixed(self, types: &[EditType], mix: &BTreeMap<EditType, f64>) -> Self {
        let of_type = |wanted: EditType| -> Vec<usize> {
            let rows = types.iter().enumerate();
            rows.filter(|(_, edit_type)| **edit_type == wanted)
                .map(|(row, _)| row)
                .collect()
        };
        let mix = mix
            .iter()
            .map(|(edit_type, share)| (*share, of_type(*edit_type)));
        let mix = mix
            .filter(|(share, rows)| *share > 0.0 && !rows.is_empty())
            .collect();
        Self { mix, ..self }
    }

    /// The pick at `position`, counted from 0 over the whole run.
    pub fn at(&self, position: u64) -> Pick {
        let mut generator = ChaCha12Rng::seed_from_u64(self.seed);
        generator.set_stream(u64::MAX);
        generator.set_word_pos(u128::from(position) * 16);
        let [replay, nothing, kind, which] = [(); 4].map(|()| unit(generator.next_u64()));
        if self.replayed > 0 && replay < self.shares.replay {
            return Pick::Replay(below(which, self.replayed));
        }
        let row = self.row(position, kind, which);
        if nothing < self.shares.do_nothing {
            Pick::Nothing(row)
        } else {
            Pick::Edit(row)
        }
    }

    fn row(&self, position: u64, kind: f64, which: f64) -> usize {
        let total: f64 = self.mix.iter().map(|(share, _)| share).sum();
        let mut left = kind * total;
        for (share, rows) in &self.mix {
            if left < *share {
                return rows[below(which, rows.len())];
            }
            left -= share;
        }
        if let Some((_, rows)) = self.mix.last() {
            return rows[below(which, rows.len())];
        }
        let rows = self.rows as u64;
        shuffled(self.seed, position / rows, position % rows, rows) as usize
    }
}

fn below(unit: f64, most: usize) -> usize {
    ((unit * most as f64) as usize).min(most.saturating_sub(1))
}

/// Element `index` of a permutation of `0..count` that is never written down: a Feistel network on the next power of four,
/// walked until it lands inside (cycle walking, Black and Rogaway 2002).
fn shuffled(seed: u64, epoch: u64, index: u64, count: u64) -> u64 {
    let mut keys = ChaCha12Rng::seed_from_u64(seed);
    keys.set_stream(u64::MAX - 1);
    keys.set_word_pos(u128::from(epoch) * 16);
    let keys: [u64; 4] = [(); 4].map(|()| keys.next_u64());
    let half = (64 - count.saturating_sub(1).leading_zeros())
        .div_ceil(2)
        .max(1);
    let mask = (1u64 << half) - 1;
    let mut at = index;
    loop {
        let (mut left, mut right) = (at >> half, at & mask);
        for key in keys {
            let mut mixer = ChaCha12Rng::seed_from_u64(key ^ right);
            (left, right) = (right, left ^ (mixer.next_u64() & mask));
        }
        at = (left << half) | right;
        if at < count {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pick: Pick) -> usize {
        match pick {
            Pick::Edit(row) | Pick::Nothing(row) | Pick::Replay(row) => row,
        }
    }

    #[test]
    fn an_epoch_takes_every_row_once_in_an_order_of_its_own() {
        for rows in [1, 2, 7, 64, 100] {
            let order = Order::shuffled(3, (rows, 0), Shares::default());
            let epoch = |start: usize| -> Vec<usize> {
                (start..start + rows)
                    .map(|at| row(order.at(at as u64)))
                    .collect()
            };
            let (first, second) = (epoch(0), epoch(rows));
            let mut sorted = first.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..rows).collect::<Vec<_>>());
            assert!(rows < 7 || first != second);
        }
    }

    #[test]
    fn shares_are_kept() {
        let shares = Shares {
            do_nothing: 0.1,
            replay: 0.5,
        };
        let order = Order::shuffled(1, (10, 4), shares);
        let picks: Vec<Pick> = (0..4000).map(|at| order.at(at)).collect();
        let share =
            |of: fn(&Pick) -> bool| picks.iter().filter(|pick| of(pick)).count() as f64 / 4000.0;
        assert!((share(|pick| matches!(pick, Pick::Replay(_))) - 0.5).abs() < 0.03);
        assert!((share(|pick| matches!(pick, Pick::Nothing(_))) - 0.05).abs() < 0.02);
    }

    #[test]
    fn a_mix_draws_types_by_their_share() {
        let types = [
            EditType::Color,
            EditType::Remove,
            EditType::Color,
            EditType::Add,
        ];
        let mix = BTreeMap::from([(EditType::Remove, 0.25), (EditType::Color, 0.75)]);
        let order = Order::shuffled(1, (4, 0), Shares::default()).mixed(&types, &mix);
        let rows: Vec<usize> = (0..4000).map(|at| row(order.at(at))).collect();
        let removed = rows.iter().filter(|row| **row == 1).count() as f64 / 4000.0;
        assert!((removed - 0.25).abs() < 0.03);
        assert!(!rows.contains(&3));
    }
}

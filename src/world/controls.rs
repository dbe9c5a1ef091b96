//! How far the oracle, or a judge, can be trusted: attempts of which it is known whether they are good.
use std::collections::BTreeMap;

use image::RgbImage;
use rayon::prelude::*;

use super::{
    attempt::{Attempt, WrongEdit},
    colour::Shades,
    edit::Edit,
    edit_type::{EditMix, EditType},
    oracle::{Oracle, Verdict},
    render::{Edges, View},
    rng::SceneRng,
};

/// A kind of attempt that the oracle is tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Control {
    /// The true picture.
    Right,
    /// Right, where the instruction leaves a choice.
    RightOtherwise,
    /// The true picture through an autoencoder.
    RightAutoencoded,
    /// The true picture, not anti-aliased, before an oracle that expects it to be.
    RightHardEdges,
    /// The true picture in other shades, before an oracle that knows them.
    RightOtherShades,
    Wrong(WrongEdit),
}

impl Control {
    /// Those that should succeed, then those that should not.
    pub const ALL: [Self; 13] = [
        Self::Right,
        Self::RightOtherwise,
        Self::RightAutoencoded,
        Self::RightHardEdges,
        Self::RightOtherShades,
        Self::Wrong(WrongEdit::ALL[0]),
        Self::Wrong(WrongEdit::ALL[1]),
        Self::Wrong(WrongEdit::ALL[2]),
        Self::Wrong(WrongEdit::ALL[3]),
        Self::Wrong(WrongEdit::ALL[4]),
        Self::Wrong(WrongEdit::ALL[5]),
        Self::Wrong(WrongEdit::ALL[6]),
        Self::Wrong(WrongEdit::ALL[7]),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::RightOtherwise => "right_otherwise",
            Self::RightAutoencoded => "right_autoencoded",
            Self::RightHardEdges => "right_hard_edges",
            Self::RightOtherShades => "right_other_shades",
            Self::Wrong(how) => how.name(),
        }
    }

    /// Such an attempt at `edit`, or `None` where there is none.
    fn trial(self, edit: &Edit, view: &View, rng: &mut SceneRng) -> Option<Trial> {
        let attempt = match self {
            Self::Right | Self::RightHardEdges | Self::RightOtherShades => Attempt::right(edit),
            Self::RightOtherwise => Attempt::right_otherwise(edit, rng),
            Self::RightAutoencoded => Attempt::right_autoencoded(edit, rng),
            Self::Wrong(how) => Attempt::wrong(edit, how, rng)?,
        };
        let shades = match self {
            Self::RightOtherShades => Shades::Other,
            _ => view.shades,
        };
        let expected = View { shades, ..*view };
        let drawn = match self {
            Self::RightHardEdges => View {
                edges: Edges::Hard,
                ..expected
            },
            _ => expected,
        };
        Some(Trial {
            control: self,
            edit: edit.clone(),
            attempt,
            expected,
            drawn,
        })
    }
}

/// One attempt that somebody is tried on.
#[derive(Clone, Debug)]
pub struct Trial {
    pub control: Control,
    pub edit: Edit,
    attempt: Attempt,
    /// How an oracle thinks that it was drawn.
    expected: View,
    drawn: View,
}

impl Trial {
    /// Attempts of all kinds that there are at edit number `index` under `seed`, seen as `view` shows them.
    pub fn all(index: u64, seed: u64, view: &View) -> Vec<Self> {
        let mut rng = SceneRng::new(seed, index);
        let edit = Edit::draw(&EditMix::all(), &mut rng);
        let one = |control: Control| {
            let mut rng = SceneRng::new(rng.seed(), 0);
            control.trial(&edit, view, &mut rng)
        };
        Control::ALL.into_iter().filter_map(one).collect()
    }

    /// The picture that was to be edited, RGB8.
    pub fn before(&self) -> RgbImage {
        self.edit.before.render(&self.drawn)
    }

    /// What came of it, RGB8.
    pub fn after(&self) -> RgbImage {
        self.attempt.render(&self.drawn)
    }

    fn verdict(&self) -> Verdict {
        let verdict = Oracle::new(self.expected).judge(&self.edit, &self.after());
        verdict.expect("both views have one size")
    }
}

/// Verdicts, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub attempts: u32,
    pub done: u32,
    pub kept: u32,
    /// Done and kept.
    pub success: u32,
}

/// A share with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub mean: f64,
    /// Lower and upper end.
    pub ci95: [f64; 2],
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, verdict: &Verdict) {
        self.count(verdict.done(), verdict.kept());
    }

    fn count(&mut self, done: bool, kept: bool) {
        self.attempts += 1;
        self.done += u32::from(done);
        self.kept += u32::from(kept);
        self.success += u32::from(done && kept);
    }

    /// Both together.
    #[must_use]
    pub fn sum(self, other: Self) -> Self {
        Self {
            attempts: self.attempts + other.attempts,
            done: self.done + other.done,
            kept: self.kept + other.kept,
            success: self.success + other.success,
        }
    }

    /// `count` of the attempts, with the score interval of Wilson (1927); all of [0, 1] where there was no attempt.
    pub fn share(&self, count: u32) -> Share {
        if self.attempts == 0 {
            return Share {
                mean: 0.0,
                ci95: [0.0, 1.0],
            };
        }
        let (n, p) = (
            f64::from(self.attempts),
            f64::from(count) / f64::from(self.attempts),
        );
        let z2 = 1.959_964 * 1.959_964 / n;
        let middle = (p + 0.5 * z2) / (1.0 + z2);
        let half = (z2 * (p * (1.0 - p) + 0.25 * z2)).sqrt() / (1.0 + z2);
        Share {
            mean: p,
            ci95: [(middle - half).max(0.0), (middle + half).min(1.0)],
        }
    }
}

/// Balanced accuracy: the mean of the share of `right` attempts that are accepted and that of `wrong` ones that are not.
///
/// The interval adds the variances of both shares, each with two successes and two failures more (Agresti and Coull, 1998).
pub fn balanced_accuracy(right: Tally, wrong: Tally) -> Share {
    let refused = wrong.attempts - wrong.success;
    let halves = [(right.success, right.attempts), (refused, wrong.attempts)];
    let mean = halves.map(|(count, of)| f64::from(count) / f64::from(of.max(1)));
    let variances = halves.map(|(count, of)| {
        let n = f64::from(of) + 4.0;
        let p = (f64::from(count) + 2.0) / n;
        p * (1.0 - p) / n
    });
    let mean = 0.5 * (mean[0] + mean[1]);
    let reach = 1.959_964 * 0.5 * (variances[0] + variances[1]).sqrt();
    Share {
        mean,
        ci95: [(mean - reach).max(0.0), (mean + reach).min(1.0)],
    }
}

/// What the oracle or a judge says of attempts of every kind at every type of edit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    tallies: BTreeMap<(Control, EditType), Tally>,
}

impl Controls {
    /// Tries the oracle on `scenes` fresh edits of all types, seen as `view` shows them. The result does not depend on threads.
    pub fn run(scenes: u64, seed: u64, view: &View) -> Self {
        let one = |index: u64| {
            let mut controls = Self::default();
            for trial in Trial::all(index, seed, view) {
                let verdict = trial.verdict();
                controls.add(&trial, verdict.done(), verdict.kept());
            }
            controls
        };
        let all = (0..scenes).into_par_iter().map(one);
        all.reduce(Self::default, |mut sum, other| {
            for (key, tally) in other.tallies {
                let entry = sum.tallies.entry(key).or_default();
                *entry = entry.sum(tally);
            }
            sum
        })
    }

    /// Counts what somebody says of `trial`.
    pub fn add(&mut self, trial: &Trial, done: bool, kept: bool) {
        let key = (trial.control, trial.edit.edit_type());
        self.tallies.entry(key).or_default().count(done, kept);
    }

    /// Of all types together.
    pub fn overall(&self, control: Control) -> Tally {
        let of_types = EditType::ALL.map(|edit_type| self.of(control, edit_type));
        of_types.into_iter().fold(Tally::default(), Tally::sum)
    }

    pub fn of(&self, control: Control, edit_type: EditType) -> Tally {
        let tally = self.tallies.get(&(control, edit_type));
        tally.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oracle_knows_right_from_wrong() {
        let controls = Controls::run(140, 20, &View::square(64));
        for control in Control::ALL {
            let tally = controls.overall(control);
            let rate = tally.share(tally.success).mean;
            let wrong = matches!(control, Control::Wrong(_));
            assert!(
                if wrong { rate <= 0.03 } else { rate >= 0.97 },
                "{control:?}: {rate}"
            );
        }
    }

    #[test]
    fn accuracy_is_balanced() {
        let tally = |attempts, success| Tally {
            attempts,
            success,
            ..Tally::default()
        };
        let Share { mean, ci95 } = balanced_accuracy(tally(10, 9), tally(1000, 300));
        assert!((mean - 0.8).abs() < 1e-12);
        assert!(ci95[0] > 0.69 && ci95[1] < 0.91 && ci95[0] < mean && mean < ci95[1]);
    }

    #[test]
    fn the_interval_is_wilsons() {
        let tally = Tally {
            attempts: 10,
            ..Tally::default()
        };
        // Newcombe (1998), table I, method 3: 0 of 10 and, by symmetry, 10 of 10.
        let none = tally.share(0).ci95;
        assert!(
            none[0].abs() < 1e-12 && (none[1] - 0.2775).abs() < 1e-4,
            "{none:?}"
        );
        assert!((tally.share(10).ci95[0] - 0.7225).abs() < 1e-4);
    }
}

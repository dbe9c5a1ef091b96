//! Attempts at edits with questions about them, drawn from the world with the right answers.
use crate::world::{
    Attempt, Change, Edit, EditMix, EditType, Finish, Scene, SceneRng, Style, WrongEdit,
};

/// Instructions that are asked of one pair of pictures.
pub const QUESTIONS: usize = 3;

/// A picture of a scene and what somebody made of it.
#[derive(Clone, Debug)]
pub struct Pair {
    pub edit: Edit,
    pub attempt: Attempt,
    /// How it went wrong, where it did.
    pub wrong: Option<WrongEdit>,
    /// How much of the attempt is to be seen, in (0, 1].
    pub share: f32,
    /// What shines through where it is not.
    pub through: Scene,
    pub asked: [Asked; QUESTIONS],
}

/// An instruction about a pair, with the right answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub instruction: String,
    pub change: Change,
    pub done: bool,
    pub kept: bool,
}

/// Attempts of a thousand that are right.
const RIGHT: usize = 250;
/// Attempts of a thousand that are wrong in each way, the recipe of a prototype.
const WRONG: [(WrongEdit, usize); 8] = [
    (WrongEdit::NoOp, 90),
    (WrongEdit::WrongAttribute, 150),
    (WrongEdit::WrongObject, 110),
    (WrongEdit::ExtraChange, 170),
    (WrongEdit::Moved, 120),
    (WrongEdit::Blur, 37),
    (WrongEdit::Noise, 37),
    (WrongEdit::Corrupt, 36),
];

/// Shares of the other instructions: what the attempt shows although nobody asked for it, and what is nearly what it shows.
const SHOWN: f32 = 0.4;
const NEAR: f32 = 0.35;

/// Share of the attempts that are seen in part. A judge that knows finished edits alone gives an editor that has hardly begun
/// nothing to go by: its answer is No all the way.
const PARTLY: f32 = 0.4;
/// Share of what went wrong in these that is seen over the right edit instead of the picture before: the way back from it.
const OVER_RIGHT: f32 = 0.5;
/// Share of attempts that change the other object likewise: what editors do that know what is asked but not of which object.
const TOO_FAR: f32 = 0.15;

impl Pair {
    /// A fresh one.
    pub fn draw(rng: &mut SceneRng) -> Self {
        let edit = Edit::draw(&EditMix::all(), rng);
        let (attempt, wrong) = draw_attempt(&edit, rng);
        let pair = Self::new(edit, (attempt, wrong), rng);
        if pair.is_damaged() || !rng.chance(PARTLY) {
            return pair;
        }
        let right = pair.wrong.is_some() && rng.chance(OVER_RIGHT);
        let (before, after) = (&pair.edit.before, &pair.edit.after);
        let through = if right { after } else { before }.clone();
        let share = rng.between(0.0, 1.0);
        pair.partly(share, through, rng)
    }

    /// The pair with `share` of its attempt, the rest `through`: what is seen in part is true with that chance.
    fn partly(mut self, share: f32, through: Scene, rng: &mut SceneRng) -> Self {
        self.share = share;
        for asked in &mut self.asked {
            if !rng.chance(share) {
                asked.done = asked.change.is_done(&through);
            }
            if !rng.chance(share) {
                asked.kept = asked.change.is_rest_kept(&self.edit.before, &through);
            }
        }
        self.through = through;
        self
    }

    /// `attempt` at `edit` with the instruction of the edit and others about the same pictures.
    pub fn new(
        edit: Edit,
        (attempt, wrong): (Attempt, Option<WrongEdit>),
        rng: &mut SceneRng,
    ) -> Self {
        let own = Asked {
            instruction: edit.instruction.clone(),
            change: edit.change,
            done: attempt.done,
            kept: attempt.kept,
        };
        let asked = std::array::from_fn(|at| match at {
            0 => own.clone(),
            _ => Asked::other(&edit, &attempt, rng),
        });
        Self {
            through: edit.before.clone(),
            edit,
            attempt,
            wrong,
            share: 1.0,
            asked,
        }
    }

    /// Whether the picture after it is too damaged to be read.
    pub fn is_damaged(&self) -> bool {
        is_damaged(&self.attempt)
    }
}

impl Asked {
    /// Another change of the same scene, so that the pictures alone never give the answer.
    fn other(edit: &Edit, attempt: &Attempt, rng: &mut SceneRng) -> Self {
        let before = &edit.before;
        let by_type = EditType::ALL.map(|kind| Change::possible(kind, before));
        let any = by_type.iter().flatten().copied();
        let all: Vec<Change> = any
            .filter(|change| *change != edit.change && !is_hidden(*change, &attempt.scene))
            .collect();
        let among = |keep: &dyn Fn(Change) -> bool| -> Vec<Change> {
            all.iter().copied().filter(|change| keep(*change)).collect()
        };
        let shown = among(&|change| change.is_done(&attempt.scene));
        let near = among(&|change| {
            change.edit_type() == edit.edit_type()
                || (change.side().is_some() && change.side() == edit.change.side())
        });
        let chance = rng.between(0.0, 1.0);
        let change = if chance < SHOWN && !shown.is_empty() {
            rng.choose(&shown)
        } else if chance < SHOWN + NEAR && !near.is_empty() {
            rng.choose(&near)
        } else {
            // every type as often as the others: there are many more ways to add than to remove
            let types: Vec<EditType> = EditType::ALL
                .into_iter()
                .filter(|kind| all.iter().any(|change| change.edit_type() == *kind))
                .collect();
            let kind = rng.choose(&types);
            rng.choose(&among(&|change| change.edit_type() == kind))
        };
        let damaged = is_damaged(attempt);
        Self {
            instruction: Edit::new(before.clone(), change, rng).instruction,
            change,
            done: !damaged && change.is_done(&attempt.scene),
            kept: !damaged && change.is_rest_kept(before, &attempt.scene),
        }
    }
}

fn is_damaged(attempt: &Attempt) -> bool {
    !matches!(attempt.finish, Finish::Clean | Finish::Autoencoded { .. })
}

/// Whether a greyscale picture does not show that it is done.
fn is_hidden(change: Change, after: &Scene) -> bool {
    let of_colour = matches!(
        change,
        Change::Recolour { .. } | Change::Repaint { .. } | Change::Add { .. }
    );
    after.style == Style::Grey && of_colour && change.is_done(after)
}

fn draw_attempt(edit: &Edit, rng: &mut SceneRng) -> (Attempt, Option<WrongEdit>) {
    if rng.chance(TOO_FAR)
        && let Some(too_far) = Attempt::too_far(edit, rng)
    {
        return (too_far, Some(WrongEdit::ExtraChange));
    }
    loop {
        let mut left = rng.below(1000);
        if left < RIGHT {
            let free = rng.chance(0.5);
            let right = if free {
                Attempt::right_otherwise(edit, rng)
            } else {
                Attempt::right(edit)
            };
            return (right, None);
        }
        left -= RIGHT;
        for (how, share) in WRONG {
            if left < share {
                match Attempt::wrong(edit, how, rng) {
                    Some(wrong) => return (wrong, Some(how)),
                    // it cannot go wrong in this way
                    None => break,
                }
            }
            left -= share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_scenes_and_answers_are_balanced() {
        let mut counts = [[0u32; 2]; 2];
        for index in 0..600 {
            let pair = Pair::draw(&mut SceneRng::new(4, index));
            assert_eq!(pair.asked[0].instruction, pair.edit.instruction);
            for asked in &pair.asked {
                counts[0][usize::from(asked.done)] += 1;
                counts[1][usize::from(asked.kept)] += 1;
                if pair.share < 1.0 {
                    continue;
                }
                if pair.is_damaged() {
                    assert!(!asked.done && !asked.kept);
                    continue;
                }
                assert_eq!(asked.done, asked.change.is_done(&pair.attempt.scene));
                let kept = asked
                    .change
                    .is_rest_kept(&pair.edit.before, &pair.attempt.scene);
                assert_eq!(asked.kept, kept);
            }
        }
        for [no, yes] in counts {
            assert!(yes * 4 > no && no * 4 > yes, "{counts:?}");
        }
    }

    #[test]
    fn what_is_seen_in_part_is_done_as_often() {
        let mut counts = [[0u32; 2]; 2];
        for index in 0..2000 {
            let mut rng = SceneRng::new(6, index);
            let edit = Edit::draw(&EditMix::all(), &mut rng);
            let right = Attempt::right(&edit);
            let before = edit.before.clone();
            let pair = Pair::new(edit, (right, None), &mut rng).partly(0.3, before, &mut rng);
            counts[0][usize::from(pair.asked[0].done)] += 1;
            counts[1][usize::from(pair.asked[0].kept)] += 1;
        }
        // 600 and all of them
        assert!((520..680).contains(&counts[0][1]), "{counts:?}");
        assert_eq!(counts[1][1], 2000);
    }

    #[test]
    fn what_went_too_far_in_part_is_done_and_keeps_the_rest_as_often() {
        let (mut seen, mut kept) = (0u32, 0u32);
        for index in 0..3000 {
            let mut rng = SceneRng::new(8, index);
            let edit = Edit::draw(&EditMix::all(), &mut rng);
            let Some(too_far) = Attempt::too_far(&edit, &mut rng) else {
                continue;
            };
            if !too_far.done || too_far.kept {
                continue;
            }
            let right = edit.after.clone();
            let pair = Pair::new(edit, (too_far, None), &mut rng).partly(0.3, right, &mut rng);
            assert!(pair.asked[0].done);
            seen += 1;
            kept += u32::from(pair.asked[0].kept);
        }
        assert!(seen > 300, "{seen}");
        let share = f64::from(kept) / f64::from(seen);
        assert!((0.62..0.78).contains(&share), "{kept} of {seen}");
    }

    #[test]
    fn the_shares_are_all_there_is() {
        let wrong: usize = WRONG.iter().map(|(_, share)| share).sum();
        assert_eq!(wrong + RIGHT, 1000);
    }
}

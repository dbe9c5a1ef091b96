//! An edit: a scene, what is asked of it, and what it should become.
use super::{
    caption::Telling,
    change::Change,
    edit_type::{EditMix, EditType},
    instruction::instruct,
    rng::SceneRng,
    scene::Scene,
};

/// One edit with all its texts. No editor may be trained on `after`; it is there for judges and for the oracle.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    pub instruction: String,
    /// What the instruction is about, as a question names it: "the red circle".
    pub object: String,
    pub change: Change,
    pub before: Scene,
    pub after: Scene,
    /// Describes `before` in general words.
    pub source_caption: String,
    /// Describes `after` in general words.
    pub edited_caption: String,
}

impl Edit {
    /// An edit of a fresh scene, its type drawn from `mix`.
    pub fn draw(mix: &EditMix, rng: &mut SceneRng) -> Self {
        let edit_type = mix.draw(rng);
        loop {
            let before = Scene::draw(rng);
            let changes = Change::possible(edit_type, &before);
            if !changes.is_empty() {
                let change = choose_evenly(&changes, rng);
                return Self::new(before, change, rng);
            }
        }
    }

    /// The edit that asks `change` of `before`, in words that `rng` chooses. The change must be possible.
    pub fn new(before: Scene, change: Change, rng: &mut SceneRng) -> Self {
        let after = change.apply(&before);
        let telling = Telling::general(change);
        let instruction = instruct(change, &before, rng);
        Self {
            instruction: instruction.text,
            object: instruction.object,
            source_caption: before.caption(&telling),
            edited_caption: after.caption(&telling),
            change,
            before,
            after,
        }
    }

    pub fn edit_type(&self) -> EditType {
        self.change.edit_type()
    }
}

/// One of `changes`, patterns as often as paints: there are fewer of them.
fn choose_evenly(changes: &[Change], rng: &mut SceneRng) -> Change {
    let (patterns, others): (Vec<Change>, Vec<Change>) = changes
        .iter()
        .partition(|change| matches!(change, Change::Retexture { .. }));
    if others.is_empty() || (!patterns.is_empty() && rng.chance(0.5)) {
        return rng.choose(&patterns);
    }
    rng.choose(&others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_reproducible_and_of_the_type_asked_for() {
        for edit_type in EditType::ALL {
            let mix = EditMix::new(&[(edit_type, 1)]).unwrap();
            for index in 0..50 {
                let edit = Edit::draw(&mix, &mut SceneRng::new(9, index));
                assert_eq!(edit.edit_type(), edit_type);
                assert_ne!(edit.before, edit.after);
                assert_eq!(edit, Edit::draw(&mix, &mut SceneRng::new(9, index)));
            }
        }
    }

    #[test]
    fn captions_settle_every_type_but_enlarge() {
        for index in 0..400 {
            let edit = Edit::draw(&EditMix::all(), &mut SceneRng::new(1, index));
            let same = edit.source_caption == edit.edited_caption;
            assert_eq!(same, edit.edit_type() == EditType::Enlarge, "{edit:?}");
        }
    }
}

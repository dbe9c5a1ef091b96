//! Attempts at an edit, right and wrong, with the answers that a good judge gives.
use image::RgbImage;

use super::{
    background::Texture, change::Change, edit::Edit, edit_type::EditType, finish::Finish,
    object::Object, render::View, rng::SceneRng, scene::Scene,
};

/// What an editor may have made of an edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub scene: Scene,
    pub finish: Finish,
    /// Whether it carries the instruction out.
    pub done: bool,
    /// Whether the rest is as it was.
    pub kept: bool,
}

/// A way to get an edit wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WrongEdit {
    NoOp,
    /// The right object or background, but not what was asked of it.
    WrongAttribute,
    /// What was asked, of something else.
    WrongObject,
    /// What was asked, and a change that nobody asked for.
    ExtraChange,
    /// What was asked, and an object has moved.
    Moved,
    Blur,
    Noise,
    /// Another picture shines through.
    Corrupt,
}

impl WrongEdit {
    pub const ALL: [Self; 8] = [
        Self::NoOp,
        Self::WrongAttribute,
        Self::WrongObject,
        Self::ExtraChange,
        Self::Moved,
        Self::Blur,
        Self::Noise,
        Self::Corrupt,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::NoOp => "no_op",
            Self::WrongAttribute => "wrong_attribute",
            Self::WrongObject => "wrong_object",
            Self::ExtraChange => "extra_change",
            Self::Moved => "moved",
            Self::Blur => "blur",
            Self::Noise => "noise",
            Self::Corrupt => "corrupt",
        }
    }
}

/// Blur in sides: from two pixels of 64, where an outline is lost, to four.
const BLUR: [f32; 2] = [0.035, 0.07];
/// Deviation of noise, from four times what an autoencoder leaves.
const NOISE: [f32; 2] = [0.12, 0.35];
/// Weight of the picture that shines through.
const BLEND: [f32; 2] = [0.35, 0.65];
/// How far a moved object goes, in sides; less is hard to see.
const MOVE: [f32; 2] = [0.12, 0.2];

/// Least difference of a channel in 255 that is seen: the luma contrast of objects that can be read.
pub(super) const VISIBLE: u8 = 33;

impl Attempt {
    /// `scene` as drawn, labelled by what it shows.
    fn clean(edit: &Edit, scene: Scene) -> Self {
        Self {
            done: edit.change.is_done(&scene),
            kept: edit.change.is_rest_kept(&edit.before, &scene),
            finish: Finish::Clean,
            scene,
        }
    }

    /// `edit.after`, too damaged to count as anything.
    fn damaged(edit: &Edit, finish: Finish) -> Self {
        Self {
            scene: edit.after.clone(),
            finish,
            done: false,
            kept: false,
        }
    }

    /// The edit as it should be.
    pub fn right(edit: &Edit) -> Self {
        Self::clean(edit, edit.after.clone())
    }

    /// The edit as well as it can be, where the instruction leaves a choice: what is added has any size, anywhere in its half.
    pub fn right_otherwise(edit: &Edit, rng: &mut SceneRng) -> Self {
        let mut scene = edit.after.clone();
        if let Change::Add {
            side,
            shape,
            colour,
        } = edit.change
        {
            let free = Object::draw(side, rng);
            scene = scene.with(side, |object| {
                *object = Object {
                    shape,
                    colour,
                    ..free
                }
            });
        }
        Self::clean(edit, scene)
    }

    /// The edit as it should be, through an autoencoder.
    pub fn right_autoencoded(edit: &Edit, rng: &mut SceneRng) -> Self {
        let seed = rng.seed();
        Self {
            finish: Finish::Autoencoded { seed },
            ..Self::right(edit)
        }
    }

    /// The edit gone wrong, or `None` where it cannot go wrong in this way: there is no other object, nothing that could
    /// move, no outline to blur.
    pub fn wrong(edit: &Edit, how: WrongEdit, rng: &mut SceneRng) -> Option<Self> {
        match how {
            WrongEdit::NoOp => Some(Self::clean(edit, edit.before.clone())),
            WrongEdit::WrongAttribute => wrong_attribute(edit, rng).map(|s| Self::clean(edit, s)),
            WrongEdit::WrongObject => {
                wrong_object(edit, &edit.before, rng).map(|s| Self::clean(edit, s))
            }
            WrongEdit::ExtraChange => extra_change(edit, rng).map(|s| Self::clean(edit, s)),
            WrongEdit::Moved => moved(edit, rng).map(|s| Self::clean(edit, s)),
            WrongEdit::Blur => {
                let patterned = [Texture::Stripes, Texture::Checks];
                let flat = !patterned.contains(&edit.after.background.texture);
                if flat && edit.after.objects.is_empty() {
                    return None;
                }
                let sigma = rng.between(BLUR[0], BLUR[1]);
                Some(Self::damaged(edit, Finish::Blurred { sigma }))
            }
            WrongEdit::Noise => {
                let sigma = rng.between(NOISE[0], NOISE[1]);
                let seed = rng.seed();
                Some(Self::damaged(edit, Finish::Noisy { sigma, seed }))
            }
            WrongEdit::Corrupt => {
                let with = Box::new(Scene::draw(rng));
                let weight = rng.between(BLEND[0], BLEND[1]);
                let finish = Finish::Blended { with, weight };
                Some(Self::damaged(edit, finish))
            }
        }
    }

    /// The edit as it should be, and the other object changed likewise; `None` where there is none that could be.
    pub fn too_far(edit: &Edit, rng: &mut SceneRng) -> Option<Self> {
        wrong_object(edit, &edit.after, rng).map(|scene| Self::clean(edit, scene))
    }

    /// The picture, RGB8.
    pub fn render(&self, view: &View) -> RgbImage {
        self.finish.apply(self.scene.render(view), view)
    }
}

fn wrong_attribute(edit: &Edit, rng: &mut SceneRng) -> Option<Scene> {
    let changes_to = |edit_type| Change::possible(edit_type, &edit.before);
    let mut changes = match edit.edit_type() {
        EditType::Style => changes_to(EditType::Background),
        EditType::Remove | EditType::Enlarge => {
            [EditType::Color, EditType::Shape].map(changes_to).concat()
        }
        own => changes_to(own),
    };
    changes.retain(|change| *change != edit.change && change.side() == edit.change.side());
    (!changes.is_empty()).then(|| rng.choose(&changes).apply(&edit.before))
}

/// `scene` with the edit's change of another object.
fn wrong_object(edit: &Edit, scene: &Scene, rng: &mut SceneRng) -> Option<Scene> {
    let change = match edit.change {
        Change::Recolour { side, colour } => {
            let side = side.other();
            Change::Recolour { side, colour }
        }
        Change::Reshape { side, shape } => {
            let side = side.other();
            Change::Reshape { side, shape }
        }
        Change::Remove { side } => Change::Remove { side: side.other() },
        Change::Enlarge { side } => Change::Enlarge { side: side.other() },
        Change::Add {
            side,
            shape,
            colour,
        } => {
            let instead = scene.with(side.other(), |object| {
                (object.shape, object.colour) = (shape, colour);
            });
            return instead.is_readable().then_some(instead);
        }
        Change::Repaint { colour } => {
            let sides: Vec<_> = scene.objects.iter().map(|object| object.side).collect();
            let side = rng.choose(&sides);
            Change::Recolour { side, colour }
        }
        Change::Retexture { .. } | Change::DrainColour => return None,
    };
    change.is_possible(scene).then(|| change.apply(scene))
}

fn extra_change(edit: &Edit, rng: &mut SceneRng) -> Option<Scene> {
    let is_extra = |scene: &Scene| {
        let labels = Attempt::clean(edit, scene.clone());
        labels.done && !labels.kept && is_seen(&edit.after, scene)
    };
    let by_type: Vec<Vec<Scene>> = EditType::ALL
        .map(|kind| {
            let changes = Change::possible(kind, &edit.after);
            let scenes = changes.iter().map(|change| change.apply(&edit.after));
            scenes.filter(is_extra).collect()
        })
        .into_iter()
        .filter(|scenes: &Vec<Scene>| !scenes.is_empty())
        .collect();
    if by_type.is_empty() {
        return None;
    }
    let scenes = &by_type[rng.below(by_type.len())];
    Some(scenes[rng.below(scenes.len())].clone())
}

/// Whether two scenes look different: grey shows few changes of colour, and white has none to lose.
fn is_seen(a: &Scene, b: &Scene) -> bool {
    let view = View::square(32);
    let (a, b) = (a.render(&view), b.render(&view));
    let differs = |(a, b): (&u8, &u8)| a.abs_diff(*b) >= VISIBLE;
    a.as_raw().iter().zip(b.as_raw()).any(differs)
}

fn moved(edit: &Edit, rng: &mut SceneRng) -> Option<Scene> {
    let stood = |object: &&Object| edit.before.object(object.side).is_some();
    let sides: Vec<_> = edit.after.objects.iter().filter(stood).collect();
    if sides.is_empty() {
        return None;
    }
    let (side, by) = (rng.choose(&sides).side, rng.between(MOVE[0], MOVE[1]));
    // Towards the middle and beyond, so that it stays in the picture.
    let scene = edit.after.with(side, |object| {
        let up = object.place[1] > 0.5;
        object.place[1] += if up { -by } else { by };
    });
    Some(scene)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::EditMix;

    fn edits() -> impl Iterator<Item = (Edit, SceneRng)> {
        (0..700).map(|index| {
            let mut rng = SceneRng::new(11, index);
            (Edit::draw(&EditMix::all(), &mut rng), rng)
        })
    }

    #[test]
    fn right_attempts_are_good_and_wrong_ones_are_not() {
        let mut made = [0; 8];
        for (edit, mut rng) in edits() {
            for right in [
                Attempt::right(&edit),
                Attempt::right_otherwise(&edit, &mut rng),
                Attempt::right_autoencoded(&edit, &mut rng),
            ] {
                assert!(right.done && right.kept, "{right:?}");
            }
            for (how, made) in WrongEdit::ALL.into_iter().zip(&mut made) {
                let Some(wrong) = Attempt::wrong(&edit, how, &mut rng) else {
                    continue;
                };
                assert!(!(wrong.done && wrong.kept), "{how:?}: {wrong:?}");
                *made += 1;
            }
        }
        assert!(made.iter().all(|&made| made > 200), "{made:?}");
    }

    #[test]
    fn labels_say_what_went_wrong() {
        for (edit, mut rng) in edits() {
            let mut labels =
                |how| Attempt::wrong(&edit, how, &mut rng).map(|wrong| (wrong.done, wrong.kept));
            assert_eq!(labels(WrongEdit::NoOp), Some((false, true)));
            assert!(labels(WrongEdit::ExtraChange).is_none_or(|found| found == (true, false)));
            assert!(labels(WrongEdit::Moved).is_none_or(|found| found == (true, false)));
            assert!(labels(WrongEdit::WrongObject).is_none_or(|(_, kept)| !kept));
            assert!(labels(WrongEdit::WrongAttribute).is_none_or(|(done, _)| !done));
        }
    }
}

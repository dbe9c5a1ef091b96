//! What is right at every hidden place of a pair, from the scenes that it was drawn from.
//!
//! A judge that learns its answers alone does not learn to compare; one that is told what to know after which layer does.
use super::{
    layout::{AnswerPlaces, SLOTS, Shared},
    pair::{Asked, Pair},
    pictures::Drawn,
    vocabulary::{Matter, place},
};
use crate::world::{Change, Colour, Object, Scene, Shape, Side, Size, Style, Texture, View};

/// Least difference of two heights that is a move, in sides; less is none.
const MOVED: f32 = 0.06;

/// One thing to be known at a token of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hint {
    pub matter: Matter,
    /// In the pair's row.
    pub token: usize,
    /// Among the matter's candidates.
    pub right: usize,
}

/// Everything that is known about `pair`, whose questions are answered at `answers`.
pub(super) fn hints(
    pair: &Pair,
    drawn: &Drawn,
    (shared, answers): (&Shared, &[AnswerPlaces]),
) -> Vec<Hint> {
    let mut hints = Hints(Vec::new());
    let (before, after) = (&pair.edit.before, &pair.attempt.scene);
    let [first, second] = shared.slots;
    hints.scene(before, first, &drawn.view);
    let (damaged, whole) = (pair.is_damaged(), pair.share == 1.0);
    if whole {
        hints.add(Matter::Damaged, second[3], usize::from(damaged));
    }
    if whole && !damaged {
        hints.scene(after, second, &drawn.view);
        hints.comparison([before, after], second);
        for (token, changed) in drawn.changed.iter().enumerate() {
            if let Some(changed) = changed {
                let token = shared.picture_token(1, token);
                hints.add(Matter::Field, token, usize::from(*changed));
            }
        }
    }
    for (asked, places) in pair.asked.iter().zip(answers) {
        hints.question(asked, places, (whole && !damaged).then_some(after));
    }
    hints.0
}

struct Hints(Vec<Hint>);

impl Hints {
    fn add(&mut self, matter: Matter, token: usize, right: usize) {
        self.0.push(Hint {
            matter,
            token,
            right,
        });
    }

    /// What a picture shows, at its slots.
    fn scene(&mut self, scene: &Scene, slots: [usize; SLOTS.len()], view: &View) {
        let coloured = scene.style == Style::Colour;
        for (side, slot) in Side::ALL.into_iter().zip(slots) {
            let object = scene.object(side);
            self.add(Matter::Shape, slot, shape(object));
            self.add(Matter::Size, slot, size(object));
            if coloured || object.is_none() {
                self.add(Matter::Colour, slot, colour(object));
            }
            if let Some(object) = object {
                self.add(Matter::Place, slot, place(height(object, view)));
            }
        }
        self.add(Matter::Texture, slots[2], texture(scene.background.texture));
        if coloured {
            self.add(
                Matter::Ground,
                slots[2],
                index(&Colour::ALL, &scene.background.colour),
            );
        }
        self.add(Matter::Style, slots[3], style(scene.style));
    }

    /// How the second picture differs from the first, at its slots.
    fn comparison(&mut self, [before, after]: [&Scene; 2], slots: [usize; SLOTS.len()]) {
        let drained = before.style != after.style;
        self.add(Matter::Changed, slots[3], usize::from(drained));
        for (side, slot) in Side::ALL.into_iter().zip(slots) {
            let [a, b] = [before, after].map(|scene| scene.object(side));
            let looks = |object: Option<&Object>| object.map(|o| (o.shape, o.colour, o.size));
            if !drained {
                self.add(Matter::Changed, slot, usize::from(looks(a) != looks(b)));
            }
            if let (Some(a), Some(b)) = (a, b) {
                let by = (a.place[1] - b.place[1]).abs();
                self.add(Matter::Moved, slot, usize::from(by > MOVED));
            }
        }
        if !drained {
            let changed = before.background != after.background;
            self.add(Matter::Changed, slots[2], usize::from(changed));
        }
    }

    /// What a question is about, and its answers; `after` where it can be read.
    fn question(&mut self, asked: &Asked, places: &AnswerPlaces, after: Option<&Scene>) {
        self.add(Matter::Done, places.done, usize::from(!asked.done));
        self.add(Matter::Kept, places.kept, usize::from(!asked.kept));
        let at = places.colon;
        let slot = match (asked.change.side(), asked.change) {
            (Some(Side::Left), _) => 0,
            (Some(Side::Right), _) => 1,
            (None, Change::DrainColour) => 3,
            (None, _) => 2,
        };
        self.add(Matter::Meant, at, slot);
        let Some(after) = after else { return };
        let coloured = after.style == Style::Colour;
        match asked.change.side() {
            Some(side) => {
                let object = after.object(side);
                self.add(Matter::MeantShape, at, shape(object));
                self.add(Matter::MeantSize, at, size(object));
                if coloured || object.is_none() {
                    self.add(Matter::MeantColour, at, colour(object));
                }
            }
            None if slot == 3 => self.add(Matter::MeantStyle, at, style(after.style)),
            None => {
                self.add(Matter::MeantTexture, at, texture(after.background.texture));
                if coloured {
                    let ground = index(&Colour::ALL, &after.background.colour);
                    self.add(Matter::MeantGround, at, ground);
                }
            }
        }
    }
}

/// Height of an object's middle in the picture, from 0 at the top to 1.
fn height(object: &Object, view: &View) -> f32 {
    let side = view.width_px.min(view.height_px) as f32;
    0.5 + (object.place[1] + view.shift[1] - 0.5) * side / view.height_px as f32
}

fn index<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().position(|other| other == one).unwrap_or(0)
}

/// "Nothing" comes last.
fn shape(object: Option<&Object>) -> usize {
    object.map_or(Shape::ALL.len(), |object| index(&Shape::ALL, &object.shape))
}

fn colour(object: Option<&Object>) -> usize {
    object.map_or(Colour::ALL.len(), |object| {
        index(&Colour::ALL, &object.colour)
    })
}

fn size(object: Option<&Object>) -> usize {
    object.map_or(Size::ALL.len(), |object| index(&Size::ALL, &object.size))
}

fn texture(texture: Texture) -> usize {
    index(&Texture::ALL, &texture)
}

fn style(style: Style) -> usize {
    match style {
        Style::Colour => 0,
        Style::Grey => 1,
    }
}

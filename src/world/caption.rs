//! Captions: as much of a scene as is told. No caption names a size.
use super::{
    change::Change,
    object::{Object, Side},
    rng::SceneRng,
    scene::{Scene, Style},
};

/// Something that a caption may tell beyond the shapes and the style, which it always tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    Colour(Side),
    Place(Side),
    Texture,
    BackgroundColour,
}

/// How much a caption tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling(Vec<Detail>);

impl Telling {
    /// Everything that the language can say.
    pub fn full() -> Self {
        let of_objects = Side::ALL.map(|side| [Detail::Colour(side), Detail::Place(side)]);
        let mut details = of_objects.concat();
        details.extend([Detail::Texture, Detail::BackgroundColour]);
        Self(details)
    }

    /// Each detail or not, by the toss of a coin: for a teacher that must follow general captions and full ones.
    pub fn draw(rng: &mut SceneRng) -> Self {
        let mut telling = Self::full();
        telling.0.retain(|_| rng.chance(0.5));
        telling
    }

    /// What `change` touches and no more, as the paper's captions are: they say what a picture shows, not what an edit leaves.
    pub fn general(change: Change) -> Self {
        Self(match change {
            Change::Recolour { side, .. } | Change::Remove { side } | Change::Add { side, .. } => {
                vec![Detail::Colour(side)]
            }
            Change::Retexture { .. } => vec![Detail::Texture],
            Change::Repaint { .. } => vec![Detail::BackgroundColour],
            Change::Reshape { .. } | Change::DrainColour | Change::Enlarge { .. } => Vec::new(),
        })
    }

    fn tells(&self, detail: Detail) -> bool {
        self.0.contains(&detail)
    }
}

impl Scene {
    /// What `telling` tells of this scene. Greyscale shows no colours, so none is named.
    pub fn caption(&self, telling: &Telling) -> String {
        let named: Vec<String> = self
            .objects
            .iter()
            .map(|object| self.name(object, telling))
            .collect();
        let (objects, background) = (named.join(" and "), self.background_words(telling));
        let what = match (objects.is_empty(), background.is_empty()) {
            (true, true) => "an empty background".to_owned(),
            (true, false) => format!("an empty {background} background"),
            (false, true) => objects,
            (false, false) => format!("{objects} on a {background} background"),
        };
        match self.style {
            Style::Colour => what,
            Style::Grey => format!("a greyscale picture of {what}"),
        }
    }

    fn name(&self, object: &Object, telling: &Telling) -> String {
        let mut name = "a".to_owned();
        if self.style == Style::Colour && telling.tells(Detail::Colour(object.side)) {
            name = format!("{name} {}", object.colour.word());
        }
        name = format!("{name} {}", object.shape.word());
        if telling.tells(Detail::Place(object.side)) {
            name = format!("{name} on the {}", object.side.word());
        }
        name
    }

    fn background_words(&self, telling: &Telling) -> String {
        let mut words = Vec::new();
        if telling.tells(Detail::Texture) {
            words.push(self.background.texture.word());
        }
        if self.style == Style::Colour && telling.tells(Detail::BackgroundColour) {
            words.push(self.background.colour.word());
        }
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Background, Colour, Shape, Size, Texture};

    fn scene() -> Scene {
        let object = |side, shape, colour| Object {
            shape,
            colour,
            size: Size::Small,
            side,
            place: [0.3, 0.5],
        };
        Scene {
            background: Background {
                texture: Texture::Stripes,
                colour: Colour::Green,
            },
            objects: vec![
                object(Side::Left, Shape::Circle, Colour::Red),
                object(Side::Right, Shape::Square, Colour::Blue),
            ],
            style: Style::Colour,
        }
    }

    #[test]
    fn a_full_caption_says_it_all() {
        let full =
            "a red circle on the left and a blue square on the right on a striped green background";
        assert_eq!(scene().caption(&Telling::full()), full);
        let grey = Scene {
            style: Style::Grey,
            ..scene().without(Side::Left)
        };
        assert_eq!(
            grey.caption(&Telling::full()),
            "a greyscale picture of a square on the right on a striped background"
        );
    }

    #[test]
    fn a_general_caption_says_what_the_edit_touches() {
        let said = |change: Change| change.apply(&scene()).caption(&Telling::general(change));
        let side = Side::Left;
        let colour = Colour::White;
        assert_eq!(
            said(Change::Recolour { side, colour }),
            "a white circle and a square"
        );
        assert_eq!(said(Change::Remove { side }), "a square");
        assert_eq!(said(Change::Enlarge { side }), "a circle and a square");
        let texture = Texture::Checks;
        assert_eq!(
            said(Change::Retexture { texture }),
            "a circle and a square on a checked background"
        );
        let nothing = scene().without(Side::Left).without(Side::Right);
        let telling = Telling::general(Change::Remove { side });
        assert_eq!(nothing.caption(&telling), "an empty background");
    }
}

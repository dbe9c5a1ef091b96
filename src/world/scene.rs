//! A scene: a background with one or two objects.
use super::{
    background::{Background, Texture},
    colour::{Colour, Shades, distance, luma},
    object::{Object, Side},
    rng::SceneRng,
};

/// How the whole picture is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    Colour,
    Grey,
}

/// What a picture shows. Edits may leave it without objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    pub background: Background,
    /// At most one a side, from left to right.
    pub objects: Vec<Object>,
    pub style: Style,
}

/// Share of scenes with two objects.
const TWO_OBJECTS: f32 = 0.6;
/// Least RGB distance of an object from the background behind it.
const MIN_CONTRAST: f32 = 0.4;
/// The same in luma, for greyscale.
const MIN_LUMA_CONTRAST: f32 = 0.13;

impl Scene {
    /// A scene in colour that is easy to read: every object stands out, no two look alike.
    pub fn draw(rng: &mut SceneRng) -> Self {
        loop {
            let background = Background {
                texture: rng.choose(&Texture::ALL),
                colour: rng.choose(&Colour::ALL),
            };
            let sides = if rng.chance(TWO_OBJECTS) {
                Side::ALL.to_vec()
            } else {
                vec![rng.choose(&Side::ALL)]
            };
            let scene = Self {
                background,
                objects: sides.into_iter().map(|s| Object::draw(s, rng)).collect(),
                style: Style::Colour,
            };
            if scene.is_readable() {
                return scene;
            }
        }
    }

    /// The object on `side`.
    pub fn object(&self, side: Side) -> Option<&Object> {
        self.objects.iter().find(|object| object.side == side)
    }

    /// Whether every object stands out from the background, and no two have the same shape and colour.
    pub fn is_readable(&self) -> bool {
        let shown = |object: &Object| {
            let front = object.colour.rgb(Shades::World);
            self.background.texture.brightnesses().iter().all(|&b| {
                let back = self.background.colour.rgb(Shades::World).map(|c| c * b);
                match self.style {
                    Style::Colour => distance(front, back) >= MIN_CONTRAST,
                    Style::Grey => (luma(front) - luma(back)).abs() >= MIN_LUMA_CONTRAST,
                }
            })
        };
        let alike = match self.objects.as_slice() {
            [a, b] => a.shape == b.shape && a.colour == b.colour,
            _ => false,
        };
        !alike && self.objects.iter().all(shown)
    }

    /// This scene with its object on `side` as `change` makes it; without one there, this scene.
    pub(super) fn with(&self, side: Side, change: impl FnOnce(&mut Object)) -> Self {
        let mut scene = self.clone();
        if let Some(object) = scene.objects.iter_mut().find(|object| object.side == side) {
            change(object);
        }
        scene
    }

    /// This scene with `object` beside what it has; its side must be free.
    pub(super) fn with_added(&self, object: Object) -> Self {
        let mut scene = self.clone();
        let at = match object.side {
            Side::Left => 0,
            Side::Right => scene.objects.len(),
        };
        scene.objects.insert(at, object);
        scene
    }

    /// This scene without what stands on `side`.
    pub(super) fn without(&self, side: Side) -> Self {
        let mut scene = self.clone();
        scene.objects.retain(|object| object.side != side);
        scene
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Shape, Size};

    #[test]
    fn scenes_are_readable_and_have_everything_in_them() {
        let scenes: Vec<Scene> = (0..2000)
            .map(|i| Scene::draw(&mut SceneRng::new(0, i)))
            .collect();
        assert!(scenes.iter().all(Scene::is_readable));
        let has = |what: &dyn Fn(&Object) -> bool| scenes.iter().flat_map(|s| &s.objects).any(what);
        for colour in Colour::ALL {
            assert!(has(&|object| object.colour == colour));
            assert!(scenes.iter().any(|s| s.background.colour == colour));
        }
        for (shape, size) in Shape::ALL.into_iter().zip(Size::ALL.into_iter().cycle()) {
            assert!(has(&|object| object.shape == shape && object.size == size));
        }
        let two = scenes.iter().filter(|s| s.objects.len() == 2).count();
        assert!((900..1300).contains(&two), "{two}");
    }

    #[test]
    fn what_looks_like_the_background_cannot_be_read() {
        let mut scene = Scene::draw(&mut SceneRng::new(0, 0));
        scene.objects[0].colour = scene.background.colour;
        assert!(!scene.is_readable());
    }

    #[test]
    fn objects_are_in_reading_order() {
        let scene = Scene::draw(&mut SceneRng::new(0, 0)).without(Side::Left);
        let left = Object::draw(Side::Left, &mut SceneRng::new(1, 0));
        let both = scene.without(Side::Right).with_added(left);
        let both = both.with_added(Object::draw(Side::Right, &mut SceneRng::new(2, 0)));
        assert_eq!(both.objects[0], left);
        assert_eq!(both.object(Side::Right), Some(&both.objects[1]));
    }
}

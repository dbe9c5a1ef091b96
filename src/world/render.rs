//! Scenes as pixels.
use image::{Rgb as Pixel, RgbImage};

use super::{
    colour::{Colour, Rgb, Shades, luma},
    object::Object,
    scene::{Scene, Style},
    shape::Shape,
};

/// How outlines are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// Anti-aliased over one pixel.
    Smooth,
    /// Every pixel is inside or outside.
    Hard,
}

/// How scenes become pictures: the world's own way, or another to see what a judge has really learnt.
///
/// The scene is a square in the middle of the picture; the background goes on beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    pub width_px: u32,
    pub height_px: u32,
    pub edges: Edges,
    pub shades: Shades,
    /// How far all objects stand from their place, `(u, v)`.
    pub shift: [f32; 2],
}

impl View {
    /// The world's own, in a square of `side_px`.
    pub fn square(side_px: u32) -> Self {
        Self {
            width_px: side_px,
            height_px: side_px,
            edges: Edges::Smooth,
            shades: Shades::World,
            shift: [0.0, 0.0],
        }
    }

    /// Pixels a side of the scene.
    pub(super) fn scale(&self) -> f32 {
        self.width_px.min(self.height_px) as f32
    }

    /// Middle of a pixel in the scene, `(u, v)`.
    pub(super) fn at(&self, x: u32, y: u32) -> [f32; 2] {
        let place = |i: u32, len: u32| (i as f32 + 0.5 - 0.5 * len as f32) / self.scale() + 0.5;
        [place(x, self.width_px), place(y, self.height_px)]
    }

    /// Share of a pixel that a figure covers whose outline is `distance` sides away.
    pub(super) fn coverage(&self, distance: f32) -> f32 {
        match self.edges {
            Edges::Smooth => (0.5 - distance * self.scale()).clamp(0.0, 1.0),
            Edges::Hard if distance < 0.0 => 1.0,
            Edges::Hard => 0.0,
        }
    }
}

/// An object as it is drawn: any size, any place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    pub shape: Shape,
    pub colour: Colour,
    /// Centre, `(u, v)`.
    pub place: [f32; 2],
    /// In sides.
    pub radius: f32,
}

impl Figure {
    pub(super) fn of(object: &Object, view: &View) -> Self {
        Self {
            shape: object.shape,
            colour: object.colour,
            place: [
                object.place[0] + view.shift[0],
                object.place[1] + view.shift[1],
            ],
            radius: object.size.radius(),
        }
    }

    /// Distance of `(u, v)` from the outline in sides, negative inside.
    pub(super) fn distance(&self, [u, v]: [f32; 2]) -> f32 {
        self.shape
            .distance(u - self.place[0], v - self.place[1], self.radius)
    }
}

/// RGB at `(u, v)` of a scene's background with `figures` on it.
pub(super) fn rgb_at(scene: &Scene, figures: &[Figure], at: [f32; 2], view: &View) -> Rgb {
    let mut rgb = scene.background.rgb(at[0], at[1], view.shades);
    for figure in figures {
        let cover = view.coverage(figure.distance(at));
        let front = figure.colour.rgb(view.shades);
        for (channel, front) in rgb.iter_mut().zip(front) {
            *channel += cover * (front - *channel);
        }
    }
    match scene.style {
        Style::Colour => rgb,
        Style::Grey => [luma(rgb); 3],
    }
}

impl Scene {
    /// The picture, RGB8.
    pub fn render(&self, view: &View) -> RgbImage {
        let figures: Vec<Figure> = self.objects.iter().map(|o| Figure::of(o, view)).collect();
        RgbImage::from_fn(view.width_px, view.height_px, |x, y| {
            Pixel(rgb_at(self, &figures, view.at(x, y), view).map(byte))
        })
    }
}

/// The byte nearest to a channel in [0, 1].
pub(super) fn byte(channel: f32) -> u8 {
    (channel.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::world::{SceneRng, Side};

    #[test]
    fn the_first_pictures_of_seed_0_never_change() {
        let mut hash = Sha256::new();
        for index in 0..20 {
            let scene = Scene::draw(&mut SceneRng::new(0, index));
            hash.update(scene.render(&View::square(64)).as_raw());
        }
        let found: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            found,
            "a2a7a0cfad2413e5b7c23f57b8e0f340f1f84cb0f5ec0eb8f907a249a6e0db3a"
        );
    }

    #[test]
    fn an_object_shows_its_colour_at_its_place_in_every_view() {
        let scene = Scene::draw(&mut SceneRng::new(0, 1)).without(Side::Right);
        let scene = scene.without(Side::Left).with_added(crate::world::Object {
            shape: Shape::Circle,
            colour: Colour::Red,
            size: crate::world::Size::Small,
            side: Side::Left,
            place: [0.25, 0.5],
        });
        let wide = View {
            width_px: 96,
            edges: Edges::Hard,
            shades: Shades::Other,
            ..View::square(64)
        };
        for view in [View::square(64), View::square(32), wide] {
            let picture = scene.render(&view);
            let left = view.width_px / 2 - view.height_px / 4;
            let middle = picture.get_pixel(left, view.height_px / 2).0;
            assert_eq!(middle, Colour::Red.rgb(view.shades).map(byte));
        }
    }

    #[test]
    fn greyscale_has_no_colour_and_keeps_luma() {
        let scene = Scene::draw(&mut SceneRng::new(0, 2));
        let grey = Scene {
            style: Style::Grey,
            ..scene.clone()
        };
        let view = View::square(32);
        let (colour, grey) = (scene.render(&view), grey.render(&view));
        for (colour, grey) in colour.pixels().zip(grey.pixels()) {
            let expected = luma(colour.0.map(f32::from));
            assert!(
                grey.0
                    .iter()
                    .all(|&c| (f32::from(c) - expected).abs() < 1.5)
            );
        }
    }
}

//! One object on its own pixels.
use super::{
    limits::{BAND, CORE, MARGIN},
    sight::{apart, mean, places},
    stage::Stage,
};
use crate::world::{
    Colour, Shape, Style,
    colour::{Rgb, distance},
    render::Figure,
};

/// An object before the background, and what else stands there.
pub(super) struct Front<'a> {
    pub stage: &'a Stage,
    pub figure: Figure,
    pub neighbours: Vec<Figure>,
}

/// Radii, by the object's own, at which another shape is tried in its place.
const TRIED_RADII: [f32; 5] = [0.8, 0.9, 1.0, 1.1, 1.25];

impl Front<'_> {
    fn colour(&self) -> Rgb {
        self.stage.shown(self.figure.colour)
    }

    /// Pixels for which `holds` holds of the distance from the outline, clear of the neighbours.
    fn pixels(&self, holds: impl Fn(f32) -> bool) -> impl Iterator<Item = (usize, [f32; 2])> {
        let places = places(&self.stage.view).enumerate();
        places.filter(move |&(_, at)| {
            let clear = |other: &Figure| other.distance(at) > MARGIN;
            holds(self.figure.distance(at)) && self.neighbours.iter().all(clear)
        })
    }

    /// Indices of the pixels that are the object's alone.
    pub(super) fn core(&self) -> Vec<usize> {
        self.pixels(|distance| distance < -CORE)
            .map(|(i, _)| i)
            .collect()
    }

    /// The colour that its own pixels are nearest to.
    pub(super) fn nearest_colour(&self) -> Colour {
        let core = self.core();
        let seen = [0, 1, 2].map(|c| mean(core.iter().map(|&i| self.stage.seen.soft[i][c])));
        let away = |colour: Colour| distance(self.stage.shown(colour), seen);
        let nearer = |a: Colour, b: Colour| if away(b) < away(a) { b } else { a };
        Colour::ALL.into_iter().fold(self.figure.colour, nearer)
    }

    /// Mean distance of the object's own pixels from its colour.
    pub(super) fn colour_error(&self) -> f32 {
        let own = self.colour();
        let seen = &self.stage.seen.raw;
        mean(self.core().into_iter().map(|i| apart(seen[i], own)))
    }

    /// Share of its own pixels that are nearer to its colour than to any other and to the background.
    pub(super) fn own_share(&self) -> f32 {
        let own = self.colour();
        let others = Colour::ALL.map(|colour| self.stage.shown(colour));
        let is_own = |i: usize| {
            let (seen, backdrop) = (self.stage.seen.soft[i], self.stage.backdrop.soft[i]);
            let away = distance(seen, own);
            // In greyscale the other colours are no alternatives: their lumas are too near.
            let other = match self.stage.style {
                Style::Colour => others.iter().any(|&c| c != own && distance(seen, c) < away),
                Style::Grey => false,
            };
            !other && away <= distance(seen, backdrop)
        };
        mean(
            self.core()
                .into_iter()
                .map(|i| f32::from(u8::from(is_own(i)))),
        )
    }

    /// Mean distance between the outline seen and the true one, in sides; blur counts as distance too.
    pub(super) fn outline_error(&self) -> f32 {
        let band = self.pixels(|distance| distance.abs() < BAND);
        2.0 * BAND * mean(band.map(|(i, at)| self.opacity_error(&self.figure, i, at)))
    }

    /// Whether no other shape of about its size fits better in its place.
    pub(super) fn is_nearest_shape(&self) -> bool {
        let reach = 0.6 * self.figure.radius;
        let window: Vec<(usize, [f32; 2])> = self.pixels(|distance| distance < reach).collect();
        let misfit = |figure: &Figure| {
            let errors = window
                .iter()
                .map(|&(i, at)| self.opacity_error(figure, i, at));
            errors.sum::<f32>()
        };
        let own = misfit(&self.figure);
        let others = Shape::ALL.into_iter().filter(|s| *s != self.figure.shape);
        others
            .flat_map(|shape| TRIED_RADII.map(|by| (shape, by * self.figure.radius)))
            .all(|(shape, radius)| {
                let other = Figure {
                    shape,
                    radius,
                    ..self.figure
                };
                own < misfit(&other)
            })
    }

    /// How far the opacity seen at pixel `i` is from that of `figure`.
    fn opacity_error(&self, figure: &Figure, i: usize, at: [f32; 2]) -> f32 {
        let seen = self.stage.opacity(self.colour(), i);
        (seen - self.stage.soft_cover(figure, at)).abs()
    }
}

//! Finds an object whose size and place an instruction leaves open.
use super::{
    limits::MARGIN,
    sight::{mean, places},
    stage::Stage,
};
use crate::world::{Shape, render::Figure};

/// Where an object may be found.
pub(super) struct Search {
    /// What it should be, about its likely place.
    pub figure: Figure,
    /// Least and largest radius.
    pub radius: [f32; 2],
    /// How far the centre may be from the place, `(u, v)`.
    pub wander: [f32; 2],
}

/// Steps of the refinement in pixels, from coarse to fine.
const STEPS_PX: [f32; 3] = [1.0, 0.5, 0.25];
/// Rounds at each step.
const ROUNDS: usize = 4;

/// The figure that explains best what stands there, or `None` where nothing of that colour and size does.
pub(super) fn find(search: &Search, neighbours: &[Figure], stage: &Stage) -> Option<Figure> {
    let colour = stage.shown(search.figure.colour);
    let near = |at: [f32; 2]| {
        let off = [0, 1].map(|axis| (at[axis] - search.figure.place[axis]).abs());
        let reach = search.radius[1] + MARGIN;
        off[0] < search.wander[0] + reach
            && off[1] < search.wander[1] + reach
            && neighbours.iter().all(|other| other.distance(at) > MARGIN)
    };
    let window: Vec<([f32; 2], f32)> = places(&stage.view)
        .enumerate()
        .filter(|&(_, at)| near(at))
        .map(|(i, at)| (at, stage.opacity(colour, i)))
        .collect();
    let start = from_moments(search, &window, stage.view.scale())?;
    let misfit = |figure: &Figure| {
        mean(
            window
                .iter()
                .map(|&(at, seen)| (seen - stage.soft_cover(figure, at)).abs()),
        )
    };
    let found = refine(start, stage.view.scale(), misfit);
    let off = [0, 1].map(|axis| (found.place[axis] - search.figure.place[axis]).abs());
    let fits = (search.radius[0]..=search.radius[1]).contains(&found.radius)
        && off[0] <= search.wander[0]
        && off[1] <= search.wander[1];
    fits.then_some(found)
}

/// The figure with the area and the centre of gravity of what is opaque; `None` where that is next to nothing.
fn from_moments(search: &Search, window: &[([f32; 2], f32)], scale: f32) -> Option<Figure> {
    let opaque: Vec<[f32; 2]> = window
        .iter()
        .filter(|(_, seen)| *seen > 0.5)
        .map(|(at, _)| *at)
        .collect();
    let (area_by_radius, drop) = match search.figure.shape {
        Shape::Circle => (std::f32::consts::PI, 0.0),
        Shape::Square => (3.098, 0.0),
        // The centre of gravity lies below the middle of the height.
        Shape::Triangle => (1.871, 0.3),
    };
    let area = opaque.len() as f32 / (scale * scale);
    let radius = (area / area_by_radius).sqrt();
    let centre = [0, 1].map(|axis| mean(opaque.iter().map(|at| at[axis])));
    (radius > 0.5 * search.radius[0]).then_some(Figure {
        place: [centre[0], centre[1] - drop * radius],
        radius,
        ..search.figure
    })
}

/// Goes downhill in `misfit`, one of place and radius at a time.
fn refine(start: Figure, scale: f32, misfit: impl Fn(&Figure) -> f32) -> Figure {
    let mut best = (misfit(&start), start);
    for step in STEPS_PX.map(|px| px / scale) {
        for _ in 0..ROUNDS {
            for (axis, by) in [
                (0, step),
                (0, -step),
                (1, step),
                (1, -step),
                (2, step),
                (2, -step),
            ] {
                let mut moved = best.1;
                match axis {
                    2 => moved.radius += by,
                    _ => moved.place[axis] += by,
                }
                let found = misfit(&moved);
                if found < best.0 {
                    best = (found, moved);
                }
            }
        }
    }
    best.1
}

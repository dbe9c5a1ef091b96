//! What can be said of a picture that somebody made of a scene, from drawings of the scene before and after.
//!
//! It teaches a judge what half-done edits look like. The oracle, which is stricter and for evaluation alone, has no part in it.
use image::{Rgb as Pixel, RgbImage};

use super::{
    Change, Scene, Side, View,
    attempt::VISIBLE,
    object::REACH,
    render::{Figure, byte, rgb_at},
};

/// Whether a change was carried out and the rest kept; `None` where it is too close to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    pub done: Option<bool>,
    pub kept: Option<bool>,
}

/// Mean distance from the best drawing, where something was to change, of a change that was carried out, and of one that was
/// not.
const DONE: [f32; 2] = [0.09, 0.12];
/// The same of something added: fewer sizes and places are held against it than it may have.
const ADDED: [f32; 2] = [0.11, 0.15];
/// The distance as a share of that between before and after: where colors are near each other, even nothing done is near.
const LEFT: [f32; 2] = [0.4, 0.6];
/// Of something reshaped, the distance as a share of that from the old shape, which may have moved and grown as well.
const RESHAPED_SHARE: [f32; 2] = [0.8, 1.0];
/// Mean distance in the worst field of [`FIELD_PX`] pixels a side. The tiny autoencoder leaves 0.05 there in one picture of
/// twenty, an outline that is a pixel off makes as much again.
const KEPT: [f32; 2] = [0.065, 0.085];
const FIELD_PX: u32 = 8;
/// Fields with fewer pixels of the rest say nothing.
const FIELD_REST: usize = 16;
/// How far what changes reaches beyond the pixels that differ.
const MARGIN_PX: i64 = 2;
/// Pixel of a shipped picture, in sides.
const PX: f32 = 1.0 / 64.0;
/// Radii of what may have been added, in sides, and the steps between its places.
const ADDED_RADII: [f32; 3] = [0.12, 0.16, 0.20];
const ADDED_STEP: f32 = 2.0 * PX;
/// Radii of a reshaped object by its old one, and how far it may have moved.
const RESHAPED: [f32; 5] = [0.82, 0.91, 1.0, 1.1, 1.21];
const WANDER: f32 = 2.0 * PX;

impl Looks {
    /// `picture`, of the size of `view`, as an attempt at `change` of `before`.
    pub fn of(picture: &RgbImage, before: &Scene, change: Change, view: &View) -> Self {
        let old = before.render(view);
        let adds = matches!(change, Change::Add { .. });
        let drawn = drawings(before, change, view).map(|new| {
            let region = region(&old, &new);
            let distance = in_region(picture, &new, &region);
            let share = distance / in_region(&old, &new, &region);
            let off = if adds { share } else { distance };
            (off, [distance, share], new, region)
        });
        let best = drawn.min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((_, [distance, share], new, region)) = best else {
            return Self {
                done: None,
                kept: None,
            };
        };
        if let Change::Add { side, .. } = change {
            let half = |x: u32| (x < view.width_px / 2) == (side == Side::Left);
            let half: Vec<bool> = old.enumerate_pixels().map(|(x, _, _)| half(x)).collect();
            return Self {
                done: both(below(distance, ADDED), below(share, LEFT)),
                kept: below(worst_field(picture, &old, &half), KEPT),
            };
        }
        let done = match unchanged(before, change) {
            // an outline is little of a picture: whether it is the new one shows beside the old
            Some(same) => {
                let as_before = drawings(before, same, view);
                let as_before = as_before.map(|old| in_region(picture, &old, &region));
                let nearest = as_before.fold(f32::INFINITY, f32::min);
                both(
                    below(distance, DONE),
                    below(distance / nearest, RESHAPED_SHARE),
                )
            }
            None => both(below(distance, DONE), below(share, LEFT)),
        };
        let worst = match done {
            // outlines of what changed belong to it
            Some(true) => worst_field(picture, &new, &vec![false; region.len()]),
            _ => worst_field(picture, &old, &region),
        };
        Self {
            done,
            kept: below(worst, KEPT),
        }
    }
}

/// A change of shape to what it was.
fn unchanged(before: &Scene, change: Change) -> Option<Change> {
    let Change::Reshape { side, .. } = change else {
        return None;
    };
    let shape = before.object(side)?.shape;
    Some(Change::Reshape { side, shape })
}

/// Yes where both are, no where either is not.
fn both(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn below(distance: f32, [yes, no]: [f32; 2]) -> Option<bool> {
    match distance {
        small if small < yes => Some(true),
        large if large > no => Some(false),
        _ => None,
    }
}

/// What may come out of `change`: where it leaves a choice of size or place, many.
fn drawings(before: &Scene, change: Change, view: &View) -> impl Iterator<Item = RgbImage> {
    let after = change.apply(before);
    let figures = after
        .objects
        .iter()
        .map(|object| (object.side, Figure::of(object, view)));
    let (own, others): (Vec<_>, Vec<_>) = figures.partition(|(side, _)| match change {
        Change::Add { side: at, .. } | Change::Reshape { side: at, .. } => *side == at,
        _ => false,
    });
    let others: Vec<Figure> = others.into_iter().map(|(_, figure)| figure).collect();
    let variants: Vec<Option<Figure>> = match (own.first(), change) {
        (Some((_, figure)), Change::Add { .. }) => {
            variants(*figure, &ADDED_RADII, (REACH, ADDED_STEP))
        }
        (Some((_, figure)), _) => {
            let radii = RESHAPED.map(|factor| factor * figure.radius);
            variants(*figure, &radii, ([WANDER; 2], PX))
        }
        (None, _) => vec![None],
    };
    let view = *view;
    variants.into_iter().map(move |variant| {
        let figures: Vec<Figure> = others.iter().copied().chain(variant).collect();
        RgbImage::from_fn(view.width_px, view.height_px, |x, y| {
            Pixel(rgb_at(&after, &figures, view.at(x, y), &view).map(byte))
        })
    })
}

/// `figure` with every radius, at most `reach` away in steps.
fn variants(figure: Figure, radii: &[f32], (reach, step): ([f32; 2], f32)) -> Vec<Option<Figure>> {
    let offsets = reach.map(|most| {
        let count = (most / step).round() as i32;
        (-count..=count).map(move |at| at as f32 * step)
    });
    let [us, vs] = offsets;
    let places = us.flat_map(|du| vs.clone().map(move |dv| [du, dv]));
    let places: Vec<_> = places.collect();
    let at = |[du, dv]: [f32; 2]| [figure.place[0] + du, figure.place[1] + dv];
    let mut variants = Vec::new();
    for &radius in radii {
        variants.extend(places.iter().map(|&offset| {
            Some(Figure {
                radius,
                place: at(offset),
                ..figure
            })
        }));
    }
    variants
}

/// Whether a change of `old` to `new` may touch each pixel.
fn region(old: &RgbImage, new: &RgbImage) -> Vec<bool> {
    let (width, height) = old.dimensions();
    let mut touched = vec![false; (width * height) as usize];
    for ((x, y, a), b) in old.enumerate_pixels().zip(new.pixels()) {
        if a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) < VISIBLE) {
            continue;
        }
        let around = |at: u32, len: u32| {
            let at = i64::from(at);
            (at - MARGIN_PX).max(0)..=(at + MARGIN_PX).min(i64::from(len) - 1)
        };
        for y in around(y, height) {
            for x in around(x, width) {
                touched[(y * i64::from(width) + x) as usize] = true;
            }
        }
    }
    touched
}

/// Mean distance of two pictures in `region`.
fn in_region(a: &RgbImage, b: &RgbImage, region: &[bool]) -> f32 {
    let pixels = a.pixels().zip(b.pixels()).zip(region);
    let inside = pixels.filter(|(_, inside)| **inside);
    mean(inside.map(|((a, b), _)| apart(a.0, b.0)))
}

/// Largest mean distance of two pictures in a field, outside of `region`.
fn worst_field(a: &RgbImage, b: &RgbImage, region: &[bool]) -> f32 {
    let (width, height) = a.dimensions();
    let across = width.div_ceil(FIELD_PX);
    let mut fields = vec![(0.0, 0); (across * height.div_ceil(FIELD_PX)) as usize];
    for (((x, y, a), b), inside) in a.enumerate_pixels().zip(b.pixels()).zip(region) {
        if !inside {
            let (sum, count) = &mut fields[(y / FIELD_PX * across + x / FIELD_PX) as usize];
            *sum += apart(a.0, b.0);
            *count += 1;
        }
    }
    let told = fields.iter().filter(|(_, count)| *count >= FIELD_REST);
    let means = told.map(|(sum, count)| sum / *count as f32);
    means.fold(0.0, f32::max)
}

/// Of two colours in `[0, 1]`, the mean over channels.
fn apart(a: [u8; 3], b: [u8; 3]) -> f32 {
    let sum: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b))).sum();
    sum as f32 / (3.0 * 255.0)
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Attempt, Edit, EditMix, SceneRng, WrongEdit};

    #[test]
    fn what_is_drawn_looks_as_its_scene_says() {
        let view = View::square(64);
        let mut told = [0; 2];
        for index in 0..40 {
            let mut rng = SceneRng::new(3, index);
            let edit = Edit::draw(&EditMix::trained(), &mut rng);
            let looks = |attempt: &Attempt| {
                Looks::of(&attempt.render(&view), &edit.before, edit.change, &view)
            };
            let right = looks(&Attempt::right(&edit));
            assert_eq!(
                (right.done, right.kept),
                (Some(true), Some(true)),
                "{edit:?}"
            );
            let soft = looks(&Attempt::right_autoencoded(&edit, &mut rng));
            let refused = [soft.done, soft.kept].contains(&Some(false));
            assert!(!refused, "{soft:?}: {edit:?}");
            let copy = looks(&Attempt::wrong(&edit, WrongEdit::NoOp, &mut rng).unwrap());
            assert_ne!(copy.done, Some(true), "{edit:?}");
            assert_eq!(copy.kept, Some(true));
            let wrong = [
                WrongEdit::WrongAttribute,
                WrongEdit::ExtraChange,
                WrongEdit::Moved,
            ];
            for how in wrong {
                let Some(attempt) = Attempt::wrong(&edit, how, &mut rng) else {
                    continue;
                };
                let found = looks(&attempt);
                let success = |done: Option<bool>, kept: Option<bool>| {
                    done == Some(true) && kept == Some(true)
                };
                told[usize::from(success(found.done, found.kept))] += 1;
            }
        }
        assert!(told[1] * 20 < told[0], "{told:?}");
    }

    #[test]
    fn what_is_added_may_stand_anywhere() {
        let view = View::square(64);
        let mix = EditMix::new(&[(crate::world::EditType::Add, 1)]).unwrap();
        for index in 0..10 {
            let mut rng = SceneRng::new(4, index);
            let edit = Edit::draw(&mix, &mut rng);
            let elsewhere = Attempt::right_otherwise(&edit, &mut rng).render(&view);
            let found = Looks::of(&elsewhere, &edit.before, edit.change, &view);
            assert_ne!(found.done, Some(false), "{edit:?}");
            assert_eq!(found.kept, Some(true), "{edit:?}");
        }
    }
}

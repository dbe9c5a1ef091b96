//! Takes from the picture what the instruction leaves open, and what was made where the edit was not done.
use super::{
    Fault,
    backdrop::nearest,
    case::Case,
    fit::{Search, find},
    limits::{ADDED_RADIUS, GROWTH, RESHAPED_GROWTH, WANDER},
    sight::Sight,
};
use crate::world::{Change, object::REACH, render::Figure};

impl Case<'_> {
    /// Where another background was asked for, takes the one that is seen.
    pub(super) fn settle_background(&mut self) {
        let (Change::Retexture { .. } | Change::Repaint { .. }) = self.edit.change else {
            return;
        };
        let seen = nearest(&self.stage, &self.clear());
        if seen != self.scene.background {
            self.not_done(Fault::Background);
            self.scene.background = seen;
            self.stage.backdrop = Sight::drawn(&self.scene, &[], &self.stage.view);
        }
    }

    /// Where another colour was asked for, takes the one that is seen.
    pub(super) fn settle_colour(&mut self) {
        let Change::Recolour { side, colour } = self.edit.change else {
            return;
        };
        for at in 0..self.figures.len() {
            let (found, figure) = self.figures[at];
            if found == side {
                let seen = self.front(side, figure).nearest_colour();
                self.figures[at].1.colour = seen;
                if seen != colour {
                    self.not_done(Fault::Colour);
                }
            }
        }
    }

    /// Where size or place is left open, takes those that explain the picture best.
    pub(super) fn settle_size_and_place(&mut self) {
        let by_old = |by: [f32; 2]| {
            let old = self
                .target_before()
                .map_or(0.0, |object| object.size.radius());
            by.map(|factor| factor * old)
        };
        let (radius, wander) = match self.edit.change {
            Change::Add { .. } => (ADDED_RADIUS, REACH.map(|reach| reach + WANDER)),
            Change::Enlarge { .. } => (by_old(GROWTH), [WANDER; 2]),
            Change::Reshape { .. } => (by_old(RESHAPED_GROWTH), [WANDER; 2]),
            _ => return,
        };
        let before = self
            .target_before()
            .map(|object| Figure::of(object, &self.stage.view));
        for at in 0..self.figures.len() {
            let (side, figure) = self.figures[at];
            if Some(side) != self.edit.change.side() {
                continue;
            }
            let search = Search {
                figure,
                radius,
                wander,
            };
            match find(&search, &self.neighbours(side), &self.stage) {
                Some(found) => self.figures[at].1 = found,
                None => {
                    self.not_done(Fault::Absent);
                    self.figures[at].1 = before.unwrap_or(figure);
                }
            }
        }
    }
}

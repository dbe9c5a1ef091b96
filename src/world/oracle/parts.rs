//! Checks of single objects and of the background.
use super::{
    Fault,
    backdrop::pattern_error,
    case::Case,
    limits::{CHROMA, FIELD, GHOST, OUTLINE, OWN_COLOUR, OWN_SHARE, PATTERN},
    sight::{apart, mean},
};
use crate::world::{Change, colour::Rgb, render::Figure};

impl Case<'_> {
    /// Every object that should be there, on its own pixels.
    pub(super) fn check_objects(&mut self) {
        for (side, figure) in self.figures.clone() {
            let front = self.front(side, figure);
            let faded = front.colour_error() >= OWN_COLOUR || front.own_share() < OWN_SHARE;
            let reshaped = !front.is_nearest_shape();
            let displaced = front.outline_error() >= OUTLINE;
            let change = self.edit.change;
            let concerned = change.side() == Some(side);
            let (asks_colour, asks_shape) = match change {
                Change::Recolour { .. } => (concerned, false),
                Change::Reshape { .. } => (false, concerned),
                Change::Add { .. } => (concerned, concerned),
                _ => (false, false),
            };
            for (is_fault, fault, asked) in [
                (faded, Fault::Colour, asks_colour),
                (reshaped, Fault::Shape, asks_shape),
                (displaced, Fault::Outline, asks_shape),
            ] {
                match (is_fault, asked) {
                    (true, true) => self.not_done(fault),
                    (true, false) => self.not_kept(fault),
                    (false, _) => {}
                }
            }
        }
    }

    /// What was to be removed must not shine through.
    pub(super) fn check_absence(&mut self) {
        let (Change::Remove { side }, Some(object)) = (self.edit.change, self.target_before())
        else {
            return;
        };
        let core = self
            .front(side, Figure::of(object, &self.stage.view))
            .core();
        let colour = self.stage.shown(object.colour);
        let left = mean(core.iter().map(|&i| self.stage.opacity(colour, i)));
        let (seen, backdrop) = (&self.stage.seen.soft, &self.stage.backdrop.soft);
        let instead = mean(core.iter().map(|&i| apart(seen[i], backdrop[i])));
        if left >= GHOST || instead >= FIELD {
            self.not_done(Fault::Ghost);
        }
    }

    /// The background where nothing stands.
    pub(super) fn check_background(&mut self) {
        if pattern_error(&self.stage, self.scene.background, &self.clear()) >= PATTERN {
            match self.edit.change {
                Change::Retexture { .. } | Change::Repaint { .. } => self.not_done(Fault::Pattern),
                _ => self.not_kept(Fault::Pattern),
            }
        }
    }

    /// There may be no colour, in the picture as a whole and on each object.
    pub(super) fn check_greyness(&mut self) {
        let spread = |rgb: Rgb| {
            let [low, high] = [f32::min, f32::max].map(|pick| rgb.into_iter().reduce(pick));
            high.zip(low).map_or(0.0, |(high, low)| high - low)
        };
        let soft = &self.stage.seen.soft;
        let mut coloured = mean(soft.iter().map(|&rgb| spread(rgb))) >= CHROMA;
        for (side, figure) in &self.figures {
            let core = self.front(*side, *figure).core();
            coloured |= mean(core.iter().map(|&i| spread(soft[i]))) >= CHROMA;
        }
        if coloured {
            self.not_done(Fault::Coloured);
        }
    }
}

//! One picture and one edit, check after check.
use image::RgbImage;

use super::{
    Fault, Verdict,
    front::Front,
    limits::MARGIN,
    sight::{Sight, places},
    stage::Stage,
};
use crate::world::{Change, Edit, Object, Scene, Side, View, render::Figure};

/// A picture to be judged as an attempt at an edit.
pub(super) struct Case<'a> {
    pub(super) edit: &'a Edit,
    pub(super) stage: Stage,
    /// What should be there; where the edit was not done, what is there instead, so that the rest can still be judged.
    pub(super) scene: Scene,
    /// What should stand there, with its side.
    pub(super) figures: Vec<(Side, Figure)>,
    pub(super) verdict: Verdict,
}

impl<'a> Case<'a> {
    pub(super) fn open(edit: &'a Edit, view: &View, picture: &RgbImage) -> Self {
        let objects = edit.after.objects.iter();
        Self {
            edit,
            stage: Stage {
                view: *view,
                style: edit.after.style,
                seen: Sight::of(picture),
                backdrop: Sight::drawn(&edit.after, &[], view),
            },
            scene: edit.after.clone(),
            figures: objects.map(|o| (o.side, Figure::of(o, view))).collect(),
            verdict: Verdict::default(),
        }
    }

    pub(super) fn verdict(mut self) -> Verdict {
        if self.edit.change == Change::DrainColour {
            self.check_greyness();
            self.stage.seen = self.stage.seen.in_grey();
        }
        self.settle_background();
        self.settle_colour();
        self.settle_size_and_place();
        self.check_objects();
        self.check_absence();
        self.check_background();
        self.check_whole();
        self.verdict
    }

    pub(super) fn not_done(&mut self, fault: Fault) {
        self.verdict.not_done.push(fault);
    }

    pub(super) fn not_kept(&mut self, fault: Fault) {
        self.verdict.not_kept.push(fault);
    }

    /// The figures that are not on `side`.
    pub(super) fn neighbours(&self, side: Side) -> Vec<Figure> {
        let others = self.figures.iter().filter(|(at, _)| *at != side);
        others.map(|(_, figure)| *figure).collect()
    }

    /// The object of the edit as it was.
    pub(super) fn target_before(&self) -> Option<&Object> {
        self.edit.before.object(self.edit.change.side()?)
    }

    /// Pixels of the background alone.
    pub(super) fn clear(&self) -> Vec<usize> {
        let clear = |at| {
            self.figures
                .iter()
                .all(|(_, figure)| figure.distance(at) > MARGIN)
        };
        let there = places(&self.stage.view).enumerate();
        there.filter(|&(_, at)| clear(at)).map(|(i, _)| i).collect()
    }

    /// `figure` as the object on `side`.
    pub(super) fn front(&self, side: Side, figure: Figure) -> Front<'_> {
        Front {
            stage: &self.stage,
            figure,
            neighbours: self.neighbours(side),
        }
    }
}

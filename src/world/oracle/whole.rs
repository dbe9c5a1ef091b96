//! Checks of the picture as a whole.
use super::{
    Fault,
    case::Case,
    limits::{CORE, FIELD, FIELDS, MARGIN, REGION, REST},
    sight::{Sight, apart, mean, places},
};
use crate::world::{Change, render::Figure};

impl Case<'_> {
    /// The picture as a whole beside the true one: region, rest and fields.
    pub(super) fn check_whole(&mut self) {
        let figures: Vec<Figure> = self.figures.iter().map(|(_, figure)| *figure).collect();
        let expected = Sight::drawn(&self.scene, &figures, &self.stage.view);
        let region = self.region();
        let away = |i: usize| apart(self.stage.seen.raw[i], expected.raw[i]);
        let mean_where = |inside: bool| {
            let there = (0..region.len()).filter(|&i| region[i] == inside);
            mean(there.map(away))
        };
        let (in_region, in_rest) = (mean_where(true), mean_where(false));
        // Nothing new may stand on a new background, so its fields count as well.
        let worst = match self.edit.change.side() {
            Some(_) => self.worst_field(&expected, &region),
            None => self.worst_field(&expected, &vec![false; region.len()]),
        };
        if in_region >= REGION {
            self.not_done(Fault::Region);
        }
        if in_rest >= REST {
            self.not_kept(Fault::Rest);
        }
        if worst >= FIELD {
            self.not_kept(Fault::Field);
        }
    }

    /// Largest mean distance of a field's pixels outside `region`, of the fields of which at least a quarter lies outside.
    fn worst_field(&self, expected: &Sight, region: &[bool]) -> f32 {
        let (width, height) = (
            self.stage.view.width_px as usize,
            self.stage.view.height_px as usize,
        );
        let mut sums = vec![(0.0, 0usize); FIELDS * FIELDS];
        for (i, _) in region.iter().enumerate().filter(|(_, inside)| !**inside) {
            let (x, y) = (i % width * FIELDS / width, i / width * FIELDS / height);
            let (sum, count) = &mut sums[y * FIELDS + x];
            *sum += apart(self.stage.seen.soft[i], expected.soft[i]);
            *count += 1;
        }
        let quarter = region.len() / (4 * FIELDS * FIELDS);
        let full = sums.into_iter().filter(|(_, count)| *count >= quarter);
        full.map(|(sum, count)| sum / count as f32)
            .fold(0.0, f32::max)
    }

    /// Which pixels the edit concerns.
    fn region(&self) -> Vec<bool> {
        let Some(side) = self.edit.change.side() else {
            // A new background reaches up to the objects' own pixels; greyscale is everywhere, and judged as such.
            let background = self.edit.change != Change::DrainColour;
            let clear = |at| self.figures.iter().all(|(_, f)| f.distance(at) > -CORE);
            return places(&self.stage.view)
                .map(|at| background && clear(at))
                .collect();
        };
        let before = self
            .target_before()
            .map(|object| Figure::of(object, &self.stage.view));
        let after = self.figures.iter().find(|(found, _)| *found == side);
        let targets: Vec<Figure> = before.into_iter().chain(after.map(|(_, f)| *f)).collect();
        let touched = |at| targets.iter().any(|figure| figure.distance(at) < MARGIN);
        places(&self.stage.view).map(touched).collect()
    }
}

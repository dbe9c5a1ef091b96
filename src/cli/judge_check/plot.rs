//! The reliability diagrams of a check.
use plotters::prelude::*;

use super::groups::Group;
use crate::pipelines::judge::{
    Temperatures,
    check::{Bin, Outcome, expected_calibration_error, reliability},
};

/// Width and height of one diagram, in pixels.
const PANEL: (u32, u32) = (380, 400);
const COLUMNS: usize = 3;
/// Height of the title above all diagrams, in pixels.
const TITLE: u32 = 44;
const FONT: &str = "sans-serif";
const BAR: RGBColor = RGBColor(158, 202, 225);
const POINT: RGBColor = RGBColor(8, 81, 156);
const FITTED: RGBColor = RGBColor(217, 72, 1);
/// A text in memory takes every drawing.
const DRAWN: &str = "drawing to memory succeeds";

/// What to draw.
pub(super) struct Diagrams<'a> {
    pub judge: &'a str,
    pub groups: &'a [Group],
    /// Drawn in orange beside the answers as they are.
    pub fitted: Option<Temperatures>,
}

impl Diagrams<'_> {
    /// One diagram a group, as SVG.
    pub fn svg(&self) -> String {
        let columns = self.groups.len().clamp(1, COLUMNS);
        let rows = self.groups.len().div_ceil(columns);
        let size = (
            PANEL.0 * columns as u32,
            TITLE + PANEL.1 * rows.max(1) as u32,
        );
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            root.fill(&WHITE).expect(DRAWN);
            let title = format!("Reliability of {}", self.judge);
            let root = root.titled(&title, (FONT, 22)).expect(DRAWN);
            for (panel, group) in root.split_evenly((rows, columns)).iter().zip(self.groups) {
                self.draw(panel, group);
            }
            root.present().expect(DRAWN);
        }
        svg
    }

    fn draw(&self, panel: &DrawingArea<SVGBackend, plotters::coord::Shift>, group: &Group) {
        let fitted = self.fitted.map(|temperatures| {
            let at = |row: &Outcome| row.at(temperatures.of(group.question));
            group.outcomes.iter().map(at).collect::<Vec<_>>()
        });
        let error = expected_calibration_error(&group.outcomes);
        let mut caption = format!(
            "{}: {} rows, ECE {error:.3}",
            group.name(),
            group.outcomes.len()
        );
        if let Some(fitted) = &fitted {
            let error = expected_calibration_error(fitted);
            caption.push_str(&format!(", fitted (orange) {error:.3}"));
        }
        let mut chart = ChartBuilder::on(panel)
            .caption(caption, (FONT, 15))
            .margin(10)
            .x_label_area_size(42)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..1.0, 0.0..1.05)
            .expect(DRAWN);
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(6)
            .y_labels(6)
            .x_desc("probability that the edit is good (judge)")
            .y_desc("part of good edits (people)")
            .label_style((FONT, 12))
            .draw()
            .expect(DRAWN);
        let bins = reliability(&group.outcomes);
        let bars = bins
            .iter()
            .map(|bin| Rectangle::new([(bin.from, 0.0), (bin.to, bin.good)], BAR.filled()));
        chart.draw_series(bars).expect(DRAWN);
        let diagonal = LineSeries::new([(0.0, 0.0), (1.0, 1.0)], &BLACK.mix(0.5));
        chart.draw_series(diagonal).expect(DRAWN);
        chart.draw_series(points(&bins, POINT)).expect(DRAWN);
        if let Some(fitted) = &fitted {
            let fitted = points(&reliability(fitted), FITTED);
            chart.draw_series(fitted).expect(DRAWN);
        }
        let counts = bins.iter().map(|bin| {
            let place = (bin.from + 0.02, bin.good + 0.045);
            Text::new(bin.rows.to_string(), place, (FONT, 11).into_font())
        });
        chart.draw_series(counts).expect(DRAWN);
    }
}

fn points(bins: &[Bin], colour: RGBColor) -> Vec<Circle<(f64, f64), i32>> {
    let point = |bin: &Bin| Circle::new((bin.p_correct, bin.good), 4, colour.filled());
    bins.iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::questions::{Answer, EditType, QuestionKind};

    #[test]
    fn every_group_has_a_diagram_with_its_counts() {
        let outcome = |margin, label| Outcome {
            margin,
            temperature: 1.0,
            label,
        };
        let group = |edit_type| Group {
            question: QuestionKind::Edit,
            edit_type,
            outcomes: [
                vec![outcome(3.0, Answer::Yes); 7],
                vec![outcome(-1.0, Answer::No); 5],
            ]
            .concat(),
        };
        let groups = [
            None,
            Some(EditType::Add),
            Some(EditType::Remove),
            Some(EditType::Style),
        ];
        let groups = groups.map(group);
        let mut diagrams = Diagrams {
            judge: "mine/judge",
            groups: &groups,
            fitted: None,
        };
        let svg = diagrams.svg();
        for part in [
            "Reliability of mine/judge",
            "edit, remove: 12 rows",
            "(people)",
            ">\n7\n",
            ">\n5\n",
        ] {
            assert!(svg.contains(part), "no {part:?} in {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 4 * 2);
        diagrams.fitted = Some(Temperatures {
            edit: 2.0,
            preservation: 1.0,
        });
        assert_eq!(diagrams.svg().matches("<circle").count(), 4 * 4);
    }
}

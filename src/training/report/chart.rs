//! A diagram as SVG. Its colours are those of the light page; the page's style turns them for the dark one.
use plotters::prelude::*;

use super::{
    metrics::Series,
    panel::{Axis, Panel},
};

/// Width and height, in pixels.
const SIZE: (u32, u32) = (560, 280);
const FONT: &str = "sans-serif";
/// `page.html` names the same colours.
const INK: RGBColor = RGBColor(68, 68, 68);
const GRID: RGBColor = RGBColor(221, 221, 221);
const SKIPPED: RGBColor = RGBColor(200, 30, 30);
const CURVES: [RGBColor; 2] = [RGBColor(8, 81, 156), RGBColor(191, 87, 0)];
/// Points of a curve at most; more are averaged.
const POINTS: usize = 500;
/// Share of a curve that its smooth line averages.
const SMOOTH: usize = 20;
/// Curves of no more points show each.
const SPARSE: usize = 30;
/// Values this far apart, all above 0, have a logarithmic axis.
const WIDE: f64 = 50.0;
/// A text in memory takes every drawing.
const DRAWN: &str = "drawing to memory succeeds";

impl Panel {
    /// Values as faint lines, their moving averages as strong ones, skipped steps as marks below.
    pub(super) fn svg(&self) -> String {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            self.draw(&root);
            root.present().expect(DRAWN);
        }
        svg
    }

    fn draw(&self, root: &DrawingArea<SVGBackend, plotters::coord::Shift>) {
        let scale = Scale::of(self);
        let (first, last) = self.steps;
        let [low, high] = scale.range;
        let mut chart = ChartBuilder::on(root)
            .margin(8)
            .margin_right(18)
            .x_label_area_size(36)
            .y_label_area_size(62)
            .build_cartesian_2d(first..last.max(first + 1.0), low..high)
            .expect(DRAWN);
        chart
            .configure_mesh()
            .x_desc("step")
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|step| format!("{step:.0}"))
            .y_label_formatter(&|value| scale.label(*value))
            .label_style((FONT, 13, &INK))
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()
            .expect(DRAWN);
        for ((name, points), colour) in self.curves.iter().zip(CURVES) {
            let thinned = thinned(points);
            let smooth = smoothed(&thinned);
            let scaled = |points: &[(f64, f64)]| -> Vec<_> {
                points.iter().map(|(x, y)| (*x, scale.place(*y))).collect()
            };
            let raw = LineSeries::new(scaled(&thinned), colour.mix(0.3).stroke_width(1));
            chart.draw_series(raw).expect(DRAWN);
            if thinned.len() <= SPARSE {
                let dots = scaled(&thinned);
                let dots = dots
                    .into_iter()
                    .map(|point| Circle::new(point, 2, colour.filled()));
                chart.draw_series(dots).expect(DRAWN);
            }
            let line = LineSeries::new(scaled(&smooth), colour.stroke_width(2));
            let drawn = chart.draw_series(line).expect(DRAWN);
            if self.curves.len() > 1 {
                let sample =
                    move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2));
                drawn.label(name.as_str()).legend(sample);
            }
        }
        let marks = self
            .skipped
            .iter()
            .map(|step| TriangleMarker::new((*step, low), 5, SKIPPED.filled()));
        chart.draw_series(marks).expect(DRAWN);
        if self.curves.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .label_font((FONT, 13, &INK))
                .background_style(WHITE.mix(0.8))
                .draw()
                .expect(DRAWN);
        }
    }
}

/// Values to places on the axis.
struct Scale {
    logarithmic: bool,
    range: [f64; 2],
}

impl Scale {
    fn of(panel: &Panel) -> Self {
        let values = panel.curves.iter().flat_map(|(_, points)| points);
        let [least, most] = bounds(values.map(|(_, value)| *value));
        let logarithmic = least > 0.0 && most / least > WIDE;
        let [low, high] = match (panel.axis, logarithmic) {
            (Axis::Probabilities, _) => {
                return Self {
                    logarithmic: false,
                    range: [0.0, 1.0],
                };
            }
            (Axis::Values, true) => [least.log10(), most.log10()],
            (Axis::Values, false) => [least, most],
        };
        let margin = match high - low {
            0.0 => (high.abs() * 0.1).max(1e-12),
            width => width * 0.06,
        };
        Self {
            logarithmic,
            range: [low - margin, high + margin],
        }
    }

    fn place(&self, value: f64) -> f64 {
        if self.logarithmic {
            value.log10()
        } else {
            value
        }
    }

    fn label(&self, place: f64) -> String {
        let value = if self.logarithmic {
            10f64.powf(place)
        } else {
            place
        };
        // a label nearer to 0 than the axis can show is 0
        let width = self.range[1] - self.range[0];
        if !self.logarithmic && value.abs() < width * 1e-9 {
            return "0".into();
        }
        short(value)
    }
}

/// Three digits, with a power of ten where many zeros would stand.
pub(super) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let power = value.abs().log10().floor() as i32;
    if !(-3..5).contains(&power) {
        return trimmed(format!("{:.2}", value / 10f64.powi(power))) + &format!("e{power}");
    }
    trimmed(format!("{value:.*}", (2 - power).max(0) as usize))
}

/// Without zeros behind the point.
fn trimmed(number: String) -> String {
    if number.contains('.') {
        number
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned()
    } else {
        number
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let all = values.fold(
        [f64::INFINITY, f64::NEG_INFINITY],
        |[least, most], value| [least.min(value), most.max(value)],
    );
    if all[0] <= all[1] { all } else { [0.0, 1.0] }
}

/// At most [`POINTS`] means of neighbours.
fn thinned(points: &[(f64, f64)]) -> Series {
    let each = points.len().div_ceil(POINTS).max(1);
    points.chunks(each).map(mean).collect()
}

/// Moving average around every point, over fewer points at the ends.
fn smoothed(points: &[(f64, f64)]) -> Series {
    let reach = points.len() / SMOOTH / 2;
    let around = |at: usize| {
        let reach = reach.min(at).min(points.len() - 1 - at);
        mean(&points[at - reach..=at + reach])
    };
    (0..points.len()).map(around).collect()
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let sum = points
        .iter()
        .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (sum.0 / points.len() as f64, sum.1 / points.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(points: Series) -> Panel {
        Panel {
            title: "loss".into(),
            about: "",
            curves: vec![("loss".into(), points)],
            axis: Axis::Values,
            steps: (1.0, 4.0),
            skipped: vec![2.0],
        }
    }

    #[test]
    fn numbers_are_short() {
        let all = [
            0.0,
            1.0,
            0.25,
            -12.5,
            123.4,
            1e-5,
            2.5e-4,
            1_234_567.0,
            0.001,
        ];
        let all = all.map(short);
        assert_eq!(
            all,
            [
                "0", "1", "0.25", "-12.5", "123", "1e-5", "2.5e-4", "1.23e6", "0.001"
            ]
        );
    }

    #[test]
    fn a_long_run_has_a_curve_of_the_same_mean() {
        let points: Series = (0..4321)
            .map(|at| (f64::from(at), f64::from(at % 7)))
            .collect();
        let thinned = thinned(&points);
        assert!(thinned.len() <= POINTS);
        assert!((mean(&thinned).1 - mean(&points).1).abs() < 0.05);
        let line: Series = (0..100)
            .map(|at| (f64::from(at), 2.0 * f64::from(at)))
            .collect();
        assert_eq!(smoothed(&line), line);
    }

    #[test]
    fn any_run_can_be_drawn() {
        let runs = [
            vec![(1.0, 1.0)],
            vec![(1.0, 3.0), (2.0, 3.0)],
            vec![(1.0, -1.0), (2.0, 1e6)],
            vec![(1.0, 1e-9), (2.0, 1e6)],
        ];
        for run in runs {
            let svg = panel(run).svg();
            assert!(svg.contains("<polyline") && svg.contains("step") && svg.contains("<polygon"));
        }
    }
}

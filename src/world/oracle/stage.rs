//! What is seen, and what should be behind it.
use super::sight::{Sight, share_of_way};
use crate::world::{
    Colour, Style, View,
    colour::{Rgb, luma},
    render::Figure,
};

/// Width of an anti-aliased outline after the binomial kernel, in pixels: a ramp of the same variance.
const SOFT_RAMP_PX: f32 = 2.65;

/// A picture, and the background that should be behind everything in it.
pub(super) struct Stage {
    pub view: View,
    pub style: Style,
    pub seen: Sight,
    /// The background alone, as it should be.
    pub backdrop: Sight,
}

impl Stage {
    /// A colour as this picture's style shows it.
    pub(super) fn shown(&self, colour: Colour) -> Rgb {
        let rgb = colour.rgb(self.view.shades);
        match self.style {
            Style::Colour => rgb,
            Style::Grey => [luma(rgb); 3],
        }
    }

    /// Opacity of `colour` before the backdrop at pixel `i`, in [0, 1].
    pub(super) fn opacity(&self, colour: Rgb, i: usize) -> f32 {
        share_of_way(self.backdrop.soft[i], colour, self.seen.soft[i])
    }

    /// Share of a smoothed pixel at `at` that `figure` covers.
    pub(super) fn soft_cover(&self, figure: &Figure, at: [f32; 2]) -> f32 {
        (0.5 - figure.distance(at) * self.view.scale() / SOFT_RAMP_PX).clamp(0.0, 1.0)
    }
}

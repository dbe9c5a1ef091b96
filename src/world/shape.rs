//! The shapes, as signed distances.

/// A shape that has a word. Three: a fourth cost a prototype more than it showed, since shape is the hardest thing to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    Circle,
    Square,
    Triangle,
}

/// Half side of a square in radii: about the circle's area.
const SQUARE: f32 = 0.88;
/// Circumradius of a triangle in radii: below equal area, so that two large ones do not touch.
const TRIANGLE: f32 = 1.2;
/// cos(30 degrees)
const COS_30: f32 = 0.866_025_4;

impl Shape {
    pub const ALL: [Self; 3] = [Self::Circle, Self::Square, Self::Triangle];

    pub fn word(self) -> &'static str {
        match self {
            Self::Circle => "circle",
            Self::Square => "square",
            Self::Triangle => "triangle",
        }
    }

    /// Distance of the point `(x, y)`, y down, from the outline of this shape of size `radius` about the origin; negative
    /// inside. Outside the corners it is a lower bound, which leaves them sharp.
    pub(super) fn distance(self, x: f32, y: f32, radius: f32) -> f32 {
        match self {
            Self::Circle => (x * x + y * y).sqrt() - radius,
            Self::Square => x.abs().max(y.abs()) - SQUARE * radius,
            Self::Triangle => {
                let reach = 0.75 * TRIANGLE * radius;
                (y - reach).max(COS_30 * x.abs() - 0.5 * (y + reach))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_is_where_the_shape_says() {
        let on = |shape: Shape, x, y| assert!(shape.distance(x, y, 0.2).abs() < 1e-6);
        on(Shape::Circle, 0.0, -0.2);
        on(Shape::Square, 0.176, 0.1);
        on(Shape::Triangle, 0.0, -0.18);
        on(Shape::Triangle, 0.2 * TRIANGLE * COS_30, 0.18);
        for shape in Shape::ALL {
            assert!(shape.distance(0.0, 0.0, 0.2) < 0.0);
            assert!(shape.distance(0.25, 0.0, 0.2) > 0.0);
        }
    }
}

//! One object of a scene.
use super::{colour::Colour, rng::SceneRng, shape::Shape};

/// How large an object is. No caption says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    Small,
    Large,
}

impl Size {
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// Radius in sides.
    pub(super) fn radius(self) -> f32 {
        match self {
            Self::Small => 0.12,
            Self::Large => 0.20,
        }
    }
}

/// The half of the picture that an object stands in; each half has room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    pub const ALL: [Self; 2] = [Self::Left, Self::Right];

    pub fn word(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// Middle of the half, `(u, v)`.
    pub(super) fn middle(self) -> [f32; 2] {
        match self {
            Self::Left => [0.26, 0.5],
            Self::Right => [0.74, 0.5],
        }
    }
}

/// How far from the middle of its half an object may stand, in sides: two large ones never touch, none is cut.
pub(super) const REACH: [f32; 2] = [0.025, 0.14];

/// A shape in one colour, somewhere in its half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Object {
    pub shape: Shape,
    pub colour: Colour,
    pub size: Size,
    pub side: Side,
    /// Centre, `(u, v)`.
    pub place: [f32; 2],
}

impl Object {
    /// Any object on `side`.
    pub(super) fn draw(side: Side, rng: &mut SceneRng) -> Self {
        let [u, v] = side.middle();
        Self {
            shape: rng.choose(&Shape::ALL),
            colour: rng.choose(&Colour::ALL),
            size: rng.choose(&Size::ALL),
            side,
            place: [
                u + rng.between(-REACH[0], REACH[0]),
                v + rng.between(-REACH[1], REACH[1]),
            ],
        }
    }
}

//! The colours, in the world's own shades and in others.

/// RGB in [0, 1].
pub(super) type Rgb = [f32; 3];

/// A colour that has a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Colour {
    Red,
    Green,
    Blue,
    Yellow,
    Purple,
    White,
}

/// Which shade stands for a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shades {
    /// Those of the world, apart in hue and in luma, so that most pairs can still be told apart in greyscale.
    World,
    /// Others, to see whether a judge knows colours or these shades.
    Other,
}

impl Colour {
    pub const ALL: [Self; 6] = [
        Self::Red,
        Self::Green,
        Self::Blue,
        Self::Yellow,
        Self::Purple,
        Self::White,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Yellow => "yellow",
            Self::Purple => "purple",
            Self::White => "white",
        }
    }

    pub(super) fn rgb(self, shades: Shades) -> Rgb {
        let [world, other] = match self {
            Self::Red => [[225, 45, 45], [205, 55, 60]],
            Self::Green => [[60, 190, 80], [85, 195, 40]],
            Self::Blue => [[30, 50, 200], [50, 60, 170]],
            Self::Yellow => [[240, 205, 40], [225, 215, 90]],
            Self::Purple => [[160, 70, 200], [175, 85, 175]],
            Self::White => [[242, 242, 242], [225, 230, 222]],
        };
        let bytes = match shades {
            Shades::World => world,
            Shades::Other => other,
        };
        bytes.map(|byte: u8| f32::from(byte) / 255.0)
    }
}

/// Luma of ITU-R BT.601.
pub(super) fn luma([r, g, b]: Rgb) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// Euclidean distance, at most sqrt(3).
pub(super) fn distance(a: Rgb, b: Rgb) -> f32 {
    let squares = a.iter().zip(b).map(|(x, y)| (x - y) * (x - y));
    squares.sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_shade_is_nearest_to_its_own_colour() {
        for colour in Colour::ALL {
            let other = colour.rgb(Shades::Other);
            let away = |c: &Colour| distance(c.rgb(Shades::World), other);
            let nearest = Colour::ALL
                .into_iter()
                .min_by(|a, b| away(a).total_cmp(&away(b)));
            assert_eq!(nearest, Some(colour));
        }
    }
}

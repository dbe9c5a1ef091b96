//! What stands behind the objects.
use super::colour::{Colour, Rgb, Shades};

/// A pattern that has a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Texture {
    Flat,
    Gradient,
    Stripes,
    Checks,
}

/// Bars and fields a side: whole pixels at 32 and at 64 px.
const FIELDS: f32 = 8.0;
/// How bright the dark bars and fields are.
const DARK: f32 = 0.6;
/// How much brightness a gradient loses from top to bottom.
const GRADIENT_FALL: f32 = 0.6;

impl Texture {
    pub const ALL: [Self; 4] = [Self::Flat, Self::Gradient, Self::Stripes, Self::Checks];

    /// As an adjective.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flat => "plain",
            Self::Gradient => "gradient",
            Self::Stripes => "striped",
            Self::Checks => "checked",
        }
    }

    /// Brightness at `(u, v)` of the scene, which may lie outside the unit square.
    pub(super) fn brightness(self, u: f32, v: f32) -> f32 {
        let odd = |fields: f32| fields.rem_euclid(2.0) >= 1.0;
        let dark = match self {
            Self::Gradient => return 1.0 - GRADIENT_FALL * v.clamp(0.0, 1.0),
            Self::Flat => false,
            Self::Stripes => odd((u * FIELDS).floor()),
            Self::Checks => odd((u * FIELDS).floor() + (v * FIELDS).floor()),
        };
        if dark { DARK } else { 1.0 }
    }

    /// The brightnesses that occur, or the ends and the middle of their range.
    pub(super) fn brightnesses(self) -> &'static [f32] {
        match self {
            Self::Flat => &[1.0],
            Self::Gradient => &[1.0, 1.0 - 0.5 * GRADIENT_FALL, 1.0 - GRADIENT_FALL],
            Self::Stripes | Self::Checks => &[1.0, DARK],
        }
    }
}

/// A pattern in one colour and its darker shades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Background {
    pub texture: Texture,
    pub colour: Colour,
}

impl Background {
    /// RGB at `(u, v)`.
    pub(super) fn rgb(self, u: f32, v: f32, shades: Shades) -> Rgb {
        let brightness = self.texture.brightness(u, v);
        self.colour.rgb(shades).map(|channel| channel * brightness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_brightnesses_occur() {
        for texture in [Texture::Flat, Texture::Stripes, Texture::Checks] {
            for at in 0..64 {
                let value = texture.brightness(at as f32 / 64.0 - 0.2, at as f32 / 50.0);
                assert!(texture.brightnesses().contains(&value));
            }
        }
        assert_eq!(Texture::Gradient.brightness(0.3, 1.5), 1.0 - GRADIENT_FALL);
        assert_ne!(
            Texture::Checks.brightness(0.1, 0.1),
            Texture::Checks.brightness(0.1, 0.2)
        );
    }
}

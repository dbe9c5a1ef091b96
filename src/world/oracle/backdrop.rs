//! The background where nothing stands before it.
use super::{
    sight::{Sight, apart, mean, share_of_way},
    stage::Stage,
};
use crate::world::{Background, Colour, Scene, Texture};

/// Mean error of the pattern's light and dark over `pixels`, in shares of their difference; 0 of what has no pattern.
pub(super) fn pattern_error(stage: &Stage, background: Background, pixels: &[usize]) -> f32 {
    let Background { texture, colour } = background;
    if !matches!(texture, Texture::Stripes | Texture::Checks) {
        return 0.0;
    }
    let light = stage.shown(colour);
    let dark = light.map(|channel| channel * texture.brightnesses()[1]);
    let lightness = |sight: &Sight, i: usize| share_of_way(dark, light, sight.soft[i]);
    let error = |&i: &usize| (lightness(&stage.seen, i) - lightness(&stage.backdrop, i)).abs();
    mean(pixels.iter().map(error))
}

/// The background that looks most like what is seen on `pixels`.
pub(super) fn nearest(stage: &Stage, pixels: &[usize]) -> Background {
    let mut best = (f32::INFINITY, Texture::Flat, Colour::White);
    for texture in Texture::ALL {
        for colour in Colour::ALL {
            let alone = Scene {
                background: Background { texture, colour },
                objects: Vec::new(),
                style: stage.style,
            };
            let drawn = Sight::drawn(&alone, &[], &stage.view);
            let away = mean(
                pixels
                    .iter()
                    .map(|&i| apart(stage.seen.soft[i], drawn.soft[i])),
            );
            if away < best.0 {
                best = (away, texture, colour);
            }
        }
    }
    let (_, texture, colour) = best;
    Background { texture, colour }
}

//! Pairs as pixels: drawn with small differences that mean nothing, and what has changed where.
use candle_core::{Device, Result, Tensor};
use image::RgbImage;
use rayon::prelude::*;

use super::{labelled::Labelled, pair::Pair};
use crate::world::{Edges, Finish, SceneRng, View};

/// What a picture goes through that makes it no worse an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degradation {
    Nothing,
    /// The world's imitation of an autoencoder.
    Autoencoder,
    /// Noise of at most [`NOISE`].
    Noise,
}

impl Degradation {
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Autoencoder, Self::Noise];
}

/// Largest deviation of noise that is no damage.
const NOISE: f32 = 0.03;
/// Shares of pairs with hard edges, out of place, and in other shades.
const HARD: f32 = 0.2;
const SHIFTED: f32 = 0.3;
const SHADED: f32 = 0.5;
/// How far all objects may stand from their place, in sides.
const SHIFT: [f32; 2] = [0.03, 0.06];
/// How much contrast a channel gains or loses, and how much light.
const GAIN: [f32; 2] = [0.85, 1.1];
const LIGHT: [f32; 2] = [-0.06, 0.1];

/// Least difference of a channel, in 255, that counts as a change.
const VISIBLE: u8 = 33;
/// Share of a field's pixels below which it has not changed, and from which on it has; in between nobody can say.
const CHANGED: [f32; 2] = [0.004, 0.06];

/// One pair, drawn.
pub(super) struct Drawn {
    pub view: View,
    /// Before and after, `[3, H, W]` each, in `[0, 1]`.
    pub pixels: [Vec<f32>; 2],
    /// Whether each field of the picture has changed, in reading order; `None` where nobody can say.
    pub changed: Vec<Option<bool>>,
}

/// Draws `pairs` as `(width, height)` px pictures, each through one of `degradations`, with `side * side` fields.
pub(super) fn draw(
    pairs: &[Pair],
    seeds: &[u64],
    ((width_px, height_px), side): ((u32, u32), usize),
    degradations: &[Degradation],
) -> Vec<Drawn> {
    let one = |(pair, seed): (&Pair, &u64)| {
        let mut rng = SceneRng::new(*seed, 1);
        let mut view = View {
            width_px,
            height_px,
            ..View::square(width_px)
        };
        if rng.chance(HARD) {
            view.edges = Edges::Hard;
        }
        if rng.chance(SHIFTED) {
            view.shift = SHIFT.map(|most| rng.between(-most, most));
        }
        let tint = Tint::draw(&mut rng);
        let clean = [&pair.edit.before, &pair.attempt.scene].map(|scene| scene.render(&view));
        let changed = changes(&clean, side);
        let [before, after] = clean;
        let before = rng.choose(degradations).apply(before, &view, &mut rng);
        let after = match pair.share {
            1.0 => after,
            share => {
                let through = Finish::Blended {
                    with: Box::new(pair.through.clone()),
                    weight: 1.0 - share,
                };
                through.apply(after, &view)
            }
        };
        let after = match &pair.attempt.finish {
            Finish::Clean => rng.choose(degradations).apply(after, &view, &mut rng),
            finish => finish.apply(after, &view),
        };
        Drawn {
            view,
            pixels: [before, after].map(|picture| tint.planes(&picture)),
            changed,
        }
    };
    pairs.par_iter().zip(seeds).map(one).collect()
}

/// What was labelled, in other light.
pub(super) fn relit(labelled: &Labelled, rng: &mut SceneRng) -> Drawn {
    let tint = Tint::draw(rng);
    let (width_px, height_px) = labelled.before.dimensions();
    Drawn {
        view: View {
            width_px,
            height_px,
            ..View::square(width_px)
        },
        pixels: [&labelled.before, &labelled.after].map(|picture| tint.planes(picture)),
        changed: Vec::new(),
    }
}

/// All pictures before, then all after, `[2 B, 3, H, W]`.
pub(super) fn pixels<'a>(
    drawn: impl Iterator<Item = &'a Drawn>,
    device: &Device,
) -> Result<Tensor> {
    let drawn: Vec<&Drawn> = drawn.collect();
    let Some(View {
        width_px,
        height_px,
        ..
    }) = drawn.first().map(|drawn| drawn.view)
    else {
        candle_core::bail!("a batch of no pairs; draw at least one")
    };
    let all = [0, 1].map(|which| drawn.iter().flat_map(move |drawn| &drawn.pixels[which]));
    let values: Vec<f32> = all.into_iter().flatten().copied().collect();
    let shape = (2 * drawn.len(), 3, height_px as usize, width_px as usize);
    Tensor::from_vec(values, shape, device)
}

impl Degradation {
    fn apply(self, picture: RgbImage, view: &View, rng: &mut SceneRng) -> RgbImage {
        let finish = match self {
            Self::Nothing => return picture,
            Self::Autoencoder => Finish::Autoencoded { seed: rng.seed() },
            Self::Noise => Finish::Noisy {
                sigma: rng.between(0.0, NOISE),
                seed: rng.seed(),
            },
        };
        finish.apply(picture, view)
    }
}

/// Other light on both pictures of a pair: colours are known by name, not by shade.
struct Tint {
    gain: [f32; 3],
    light: [f32; 3],
}

impl Tint {
    fn draw(rng: &mut SceneRng) -> Self {
        if !rng.chance(SHADED) {
            return Self {
                gain: [1.0; 3],
                light: [0.0; 3],
            };
        }
        Self {
            gain: std::array::from_fn(|_| rng.between(GAIN[0], GAIN[1])),
            light: std::array::from_fn(|_| rng.between(LIGHT[0], LIGHT[1])),
        }
    }

    /// `[3, H, W]` in `[0, 1]`.
    fn planes(&self, picture: &RgbImage) -> Vec<f32> {
        let plane = |c: usize| {
            picture.pixels().map(move |pixel| {
                let value = f32::from(pixel.0[c]) / 255.0;
                (value * self.gain[c] + self.light[c]).clamp(0.0, 1.0)
            })
        };
        (0..3).flat_map(plane).collect()
    }
}

/// Which of `side * side` fields differ between two pictures of one size.
fn changes([before, after]: &[RgbImage; 2], side: usize) -> Vec<Option<bool>> {
    let (width, height) = before.dimensions();
    let mut differing = vec![0u32; side * side];
    let field = |at: u32, len: u32| at as usize * side / len as usize;
    for ((x, y, a), b) in before.enumerate_pixels().zip(after.pixels()) {
        let differs = a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) >= VISIBLE);
        differing[field(y, height) * side + field(x, width)] += u32::from(differs);
    }
    let pixels = (width * height) as f32 / (side * side) as f32;
    let says = |count: u32| match count as f32 / pixels {
        share if share < CHANGED[0] => Some(false),
        share if share < CHANGED[1] => None,
        _ => Some(true),
    };
    differing.into_iter().map(says).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Attempt, Edit, EditMix, EditType, WrongEdit};

    #[test]
    fn fields_change_where_the_edit_is() {
        let mix = EditMix::new(&[(EditType::Remove, 1)]).unwrap();
        let mut rng = SceneRng::new(3, 0);
        let edit = Edit::draw(&mix, &mut rng);
        let same = Attempt::wrong(&edit, WrongEdit::NoOp, &mut rng).unwrap();
        for (attempt, changed) in [(Attempt::right(&edit), true), (same, false)] {
            let pair = Pair::new(edit.clone(), (attempt, None), &mut rng);
            let all = [Degradation::Nothing, Degradation::Autoencoder];
            let drawn = draw(&[pair], &[7], ((96, 64), 4), &all);
            assert_eq!(drawn[0].changed.len(), 16);
            assert_eq!(drawn[0].changed.contains(&Some(true)), changed);
            assert!(drawn[0].changed.contains(&Some(false)));
            let pixels = pixels(drawn.iter(), &Device::Cpu).unwrap();
            assert_eq!(pixels.dims(), [2, 3, 64, 96]);
        }
    }
}

//! Where each token of a forward is, and which tokens may be attended to.
use std::ops::Range;

use candle_core::{Result, Tensor};

use super::{
    captions::Captions,
    config::Config,
    rope::{Rotations, caption_positions, image_positions},
};
use crate::nn::{Compute, KeyMask};

/// Whether pad tokens take part in attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaddingAttention {
    /// As ordinary tokens: how the released checkpoint was trained.
    Attend,
    /// Never as keys.
    Mask,
}

/// Tokens of one sequence: rotations and allowed keys.
#[derive(Clone, Debug)]
pub struct Segment {
    pub rotations: Rotations,
    pub mask: KeyMask,
}

/// The sequences of one forward: image, caption, and both behind each other.
#[derive(Clone, Debug)]
pub struct Layout {
    pub image: Segment,
    pub caption: Segment,
    pub unified: Segment,
    /// Patches of one frame: rows, columns.
    pub grid: [usize; 2],
    /// 2 with a reference image, 1 without.
    pub frames: usize,
}

impl Layout {
    pub(super) fn new(
        config: &Config,
        [frames, rows, columns]: [usize; 3],
        captions: &Captions,
        padding: PaddingAttention,
        compute: &Compute,
    ) -> Result<Self> {
        let caption_len = captions.features.dim(1)?;
        let grid = [rows, columns];
        let caption = caption_positions(caption_len);
        let image = image_positions(caption_len, frames, grid);
        let image_lengths = vec![frames * rows * columns; captions.lengths.len()];
        let rotations = |positions: &[_]| Rotations::new(positions, config, compute);
        let (image_rotations, caption_rotations) = (rotations(&image)?, rotations(&caption)?);
        let unified = image_rotations.then(&caption_rotations)?;
        let mask = |parts: &[(&[usize], usize)]| match padding {
            PaddingAttention::Attend => Ok(KeyMask::All),
            PaddingAttention::Mask => keys(parts, compute),
        };
        let image_part = (&image_lengths[..], image.len());
        let caption_part = (&captions.lengths[..], caption_len);
        Ok(Self {
            image: Segment {
                rotations: image_rotations,
                mask: mask(&[image_part])?,
            },
            caption: Segment {
                rotations: caption_rotations,
                mask: mask(&[caption_part])?,
            },
            unified: Segment {
                rotations: unified,
                mask: mask(&[image_part, caption_part])?,
            },
            grid,
            frames,
        })
    }

    /// Tokens of the last frame, the noisy one.
    pub(super) fn noisy_tokens(&self) -> Range<usize> {
        let tokens = self.frame_tokens();
        (self.frames - 1) * tokens..self.frames * tokens
    }

    /// Patches of one frame.
    pub(super) fn frame_tokens(&self) -> usize {
        self.grid[0] * self.grid[1]
    }
}

/// One u8 a key, for parts given as each item's length and the padded length.
fn keys(parts: &[(&[usize], usize)], compute: &Compute) -> Result<KeyMask> {
    let padded: usize = parts.iter().map(|(_, padded)| padded).sum();
    let batch = parts.first().map_or(0, |(lengths, _)| lengths.len());
    let mut keys = Vec::with_capacity(batch * padded);
    for item in 0..batch {
        for (lengths, padded) in parts {
            keys.extend((0..*padded).map(|at| u8::from(at < lengths[item])));
        }
    }
    if keys.iter().all(|key| *key == 1) {
        return Ok(KeyMask::All);
    }
    Ok(KeyMask::Keys(Tensor::from_vec(
        keys,
        (batch, padded),
        &compute.device,
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(parts: &[(&[usize], usize)]) -> Option<Vec<Vec<u8>>> {
        match keys(parts, &Compute::cpu()).unwrap() {
            KeyMask::Keys(keys) => Some(keys.to_vec2().unwrap()),
            KeyMask::All | KeyMask::Causal => None,
        }
    }

    #[test]
    fn pads_of_each_part_are_masked() {
        let masked = keys_of(&[(&[2, 2], 3), (&[1, 2], 2)]).unwrap();
        assert_eq!(masked, [[1, 1, 0, 1, 0], [1, 1, 0, 1, 1]]);
        assert!(keys_of(&[(&[3, 3], 3)]).is_none());
    }
}

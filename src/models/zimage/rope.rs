//! Positions of image and caption tokens, and their rotations.
use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor};

use super::config::Config;
use crate::nn::{Compute, rope_pairs};

/// Position of one token: sequence, row, column.
pub type Position = [u32; 3];

/// Cosines and sines that turn adjacent channel pairs of each head.
#[derive(Clone, Debug)]
pub struct Rotations {
    /// `[S, head_dim / 2]`
    pub cos: Tensor,
    /// `[S, head_dim / 2]`
    pub sin: Tensor,
}

impl Rotations {
    /// Angle of pair i of an axis of d channels: position * theta^(-2i/d), axes side by side.
    /// In f64 up to the angle, as diffusers' `RopeEmbedder.precompute_freqs_cis`.
    pub(super) fn new(positions: &[Position], config: &Config, compute: &Compute) -> Result<Self> {
        let width = config.head_dim() / 2;
        let mut cos = Vec::with_capacity(positions.len() * width);
        let mut sin = Vec::with_capacity(positions.len() * width);
        for position in positions {
            for (axis, dim) in config.axes_dims.iter().enumerate() {
                for pair in 0..dim / 2 {
                    let frequency = config.rope_theta.powf(-((2 * pair) as f64) / *dim as f64);
                    let angle = f64::from((f64::from(position[axis]) * frequency) as f32);
                    cos.push(angle.cos() as f32);
                    sin.push(angle.sin() as f32);
                }
            }
        }
        // Half-precision angles would blur neighbouring positions: tables stay in float32 or wider.
        let dtype = if compute.dtype == DType::F64 {
            DType::F64
        } else {
            DType::F32
        };
        let table = |values| {
            Tensor::from_vec(values, (positions.len(), width), &Device::Cpu)?
                .to_device(&compute.device)?
                .to_dtype(dtype)
        };
        Ok(Self {
            cos: table(cos)?,
            sin: table(sin)?,
        })
    }

    /// The rows of `tokens`.
    pub(super) fn of_tokens(&self, tokens: &Range<usize>) -> Result<Self> {
        let rows = |table: &Tensor| table.narrow(0, tokens.start, tokens.len());
        Ok(Self {
            cos: rows(&self.cos)?,
            sin: rows(&self.sin)?,
        })
    }

    /// Heads `[B, S, H, D]`, each token turned by its row.
    pub(super) fn turn(&self, heads: &Tensor) -> Result<Tensor> {
        rope_pairs(heads, &self.cos, &self.sin)
    }

    /// Rows of `self`, then those of `other`.
    pub(super) fn then(&self, other: &Self) -> Result<Self> {
        Ok(Self {
            cos: Tensor::cat(&[&self.cos, &other.cos], 0)?,
            sin: Tensor::cat(&[&self.sin, &other.sin], 0)?,
        })
    }
}

/// Positions of `padded` caption tokens: 1, 2, .. on the sequence axis, pads included.
pub fn caption_positions(padded: usize) -> Vec<Position> {
    (1..=padded as u32).map(|at| [at, 0, 0]).collect()
}

/// Positions of `frames` images of `[rows, columns]` patches after a caption of `caption` tokens, pads at the origin.
pub fn image_positions(
    caption: usize,
    frames: usize,
    [rows, columns]: [usize; 2],
) -> Vec<Position> {
    let mut positions = Vec::new();
    for frame in 0..frames as u32 {
        for row in 0..rows as u32 {
            for column in 0..columns as u32 {
                positions.push([caption as u32 + 1 + frame, row, column]);
            }
        }
    }
    positions.resize(
        positions.len().next_multiple_of(super::TOKEN_MULTIPLE),
        [0, 0, 0],
    );
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_the_caption_and_pads_sit_at_the_origin() {
        let positions = image_positions(64, 2, [2, 3]);
        assert_eq!(positions.len(), 32);
        assert_eq!(positions[0], [65, 0, 0]);
        assert_eq!(positions[5], [65, 1, 2]);
        assert_eq!(positions[6], [66, 0, 0]);
        assert_eq!(positions[12..], [[0, 0, 0]; 20]);
        assert_eq!(caption_positions(3), [[1, 0, 0], [2, 0, 0], [3, 0, 0]]);
    }
}

//! Rotary positions of text and image tokens.
use candle_core::{Device, Result, Tensor};

use super::Config;

/// Time, row and column of one token; text has the same number three times.
pub type Position = [u32; 3];

/// Cosines and sines that turn the halves of each head.
#[derive(Clone, Debug)]
pub struct Rotations {
    /// `[1, N, head_dim / 2]`
    pub cos: Tensor,
    /// `[1, N, head_dim / 2]`
    pub sin: Tensor,
}

impl Rotations {
    pub(super) fn new(config: &Config, positions: &[Position], device: &Device) -> Result<Self> {
        let pairs = config.head_dim() / 2;
        let axes = axes(config.sections());
        // single precision up to the angle, as transformers computes it
        let frequencies: Vec<f32> = (0..pairs)
            .map(|i| {
                let exponent = (2 * i) as f32 / config.head_dim() as f32;
                1.0 / f64::from(config.theta() as f32).powf(f64::from(exponent)) as f32
            })
            .collect();
        let mut cos = Vec::with_capacity(positions.len() * pairs);
        let mut sin = Vec::with_capacity(cos.capacity());
        for position in positions {
            for (pair, frequency) in frequencies.iter().enumerate() {
                let angle = position[axes(pair)] as f32 * frequency;
                cos.push(f64::from(angle).cos() as f32);
                sin.push(f64::from(angle).sin() as f32);
            }
        }
        let table = |values| {
            Tensor::from_vec(values, (1, positions.len(), pairs), &Device::Cpu)?.to_device(device)
        };
        Ok(Self {
            cos: table(cos)?,
            sin: table(sin)?,
        })
    }

    /// The rotations of some tokens. `[1, tokens, head_dim / 2]`
    pub(super) fn of(&self, tokens: &Tensor) -> Result<Self> {
        Ok(Self {
            cos: self.cos.index_select(tokens, 1)?,
            sin: self.sin.index_select(tokens, 1)?,
        })
    }
}

/// Which coordinate turns a pair: time, but rows and columns take turns in the first pairs (interleaved m-rope of
/// Qwen3-VL, transformers `apply_interleaved_mrope`).
fn axes([_, rows, columns]: [usize; 3]) -> impl Fn(usize) -> usize {
    move |pair| match pair % 3 {
        1 if pair < 3 * rows => 1,
        2 if pair < 3 * columns => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_interleaved_with_time() {
        let of = |sections| (0..8).map(axes(sections)).collect::<Vec<_>>();
        assert_eq!(of([8, 0, 0]), [0; 8]);
        assert_eq!(of([4, 2, 2]), [0, 1, 2, 0, 1, 2, 0, 0]);
        assert_eq!(of([3, 3, 2]), [0, 1, 2, 0, 1, 2, 0, 1]);
    }
}

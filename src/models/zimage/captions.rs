//! Text features as the transformer takes them.
use candle_core::{Result, Tensor};

use super::TOKEN_MULTIPLE;

/// Text features of a batch, padded to one length.
#[derive(Clone, Debug)]
pub struct Captions {
    /// `[B, Lp, D]`, Lp a multiple of [`TOKEN_MULTIPLE`]; rows from the item's length on are ignored.
    pub features: Tensor,
    /// Tokens of each item, 1..=Lp.
    pub lengths: Vec<usize>,
}

impl Captions {
    /// Pads texts `[1, L, D]` to the longest one's length, rounded up.
    ///
    /// The padded length moves the image positions: texts of different rounded length are not
    /// the same in a batch as alone. See [`Captions::padded_len`].
    ///
    /// # Errors
    /// No text, or texts of different width, dtype or device.
    pub fn new(texts: &[Tensor]) -> Result<Self> {
        let lengths = texts
            .iter()
            .map(|text| text.dim(1))
            .collect::<Result<Vec<_>>>()?;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let padded = Self::padded_len(longest);
        let rows = texts
            .iter()
            .zip(&lengths)
            .map(|(text, length)| text.pad_with_zeros(1, 0, padded - length));
        Ok(Self {
            features: Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 0)?,
            lengths,
        })
    }

    /// Tokens that a text of `length` tokens takes.
    pub fn padded_len(length: usize) -> usize {
        length.next_multiple_of(TOKEN_MULTIPLE)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn the_longest_text_decides() {
        let text = |length| Tensor::ones((1, length, 3), DType::F32, &Device::Cpu).unwrap();
        let captions = Captions::new(&[text(33), text(5)]).unwrap();
        assert_eq!(captions.features.dims(), [2, 64, 3]);
        assert_eq!(captions.lengths, [33, 5]);
        assert!(Captions::new(&[]).is_err());
    }
}
